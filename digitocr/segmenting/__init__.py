"""The parts of the segment stage: ink becomes fields and pieces. Only `segment.py` uses them."""
