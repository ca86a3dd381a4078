import subprocess

import witness

child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
witness.watch(child.pid)
child.stdin.write(b"one message\n" * 1_000_000)  # as `stdin.write(); await stdin.drain()` does
child.stdin.close()
print(len(child.stdout.read()))
