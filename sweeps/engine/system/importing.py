"""One thread at a time imports the report, which the driver and the tracking thread both need.

Two that begin at different ends of it would each wait for a module of the other; Python then hands
one of them a module that is half made.
"""

import threading

IMPORTING = threading.Lock()
