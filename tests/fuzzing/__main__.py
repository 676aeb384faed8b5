"""`python -m fuzzing`, in the folder of the tests."""

import sys

from fuzzing.running import main

sys.exit(main())
