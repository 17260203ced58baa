"""Make the sample scenes: `python sample_scenes/generate.py --out DIR`, see README.md."""

import argparse
import sys
from pathlib import Path

if __package__ in (None, ""):  # started as a script: its own package is found from the repository's root
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
