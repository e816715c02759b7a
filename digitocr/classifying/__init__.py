"""The parts of the classify stage: pictures become shares. Only `classify.py` uses them."""
