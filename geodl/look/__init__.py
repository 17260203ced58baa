"""The look that all pages of geodl share: style, figures, pictures inside a page, safe templates."""
