"""The parts of the assemble stage: probabilities become numbers. Only `assemble.py` uses them."""
