import os
import subprocess
import time

import witness

child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
elsewhere = os.fork()  # multiprocessing, a web server's worker
if elsewhere == 0:
    time.sleep(60)
    os._exit(0)
child.stdin.close()  # "the server ends when its stdin does"
try:
    child.wait(3)
except subprocess.TimeoutExpired:
    print("deadlock: stdin was closed 3 s ago, and the child still waits for its end")
witness.finish(child.pid, elsewhere)
