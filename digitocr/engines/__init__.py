"""Where the stages run: ``local`` in worker processes of this machine."""
