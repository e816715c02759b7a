"""The parts of the clean stage: a page becomes ink. Only `clean.py` uses them."""
