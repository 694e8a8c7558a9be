"""sign_in.py USER [ADDRESS]: prints a link that signs a user in, as your own login would.

The token stands behind the #, which browsers send to no server and so no log has.
"""

import sys

from tokens import sign


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    address = sys.argv[2] if len(sys.argv) == 3 else "http://127.0.0.1:8000"
    print(f"{address}/onboarding#{sign(sys.argv[1], seconds=12 * 3600)}")
