"""python -m digitocr"""

from digitocr.cli import main

if __name__ == "__main__":
    main()
