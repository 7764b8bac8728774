"""``python -m imrestore`` is the ``imrestore`` command."""

from imrestore.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
