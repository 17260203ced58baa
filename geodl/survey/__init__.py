"""Points to be interpreted by people, and what their answers say about a map."""
