"""A link that takes time: carries frames between two TAP devices, each after half of the round-trip time.

    wire.py ONE OTHER RTT_MS [JITTER_MS]      'ready' when both are there; ends with its input

(The kernel's netem is not everywhere.) Frames keep their order; what finds a full queue is lost, as on a wire.
"""
import collections
import fcntl
import os
import random
import select
import struct
import sys
import time

QUEUE_MAX = 20000
FRAME_MAX = 65536
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454ca, 0x0002, 0x1000


def tap(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    return device


def send(device, frame):
    try:
        os.write(device, frame)
    except OSError:
        pass  # the link is down


def main():
    one, other = tap(sys.argv[1]), tap(sys.argv[2])
    delay, jitter = float(sys.argv[3]) / 2000, float(sys.argv[4]) / 2000 if len(sys.argv) > 4 else 0.0
    queues = {one: collections.deque(), other: collections.deque()}  # (due, frame) by where it came from
    opposite = {one: other, other: one}
    print("ready", flush=True)
    while True:
        due = min((queue[0][0] for queue in queues.values() if queue), default=None)
        wait = None if due is None else max(0.0, due - time.monotonic())
        readable = select.select([one, other, sys.stdin], [], [], wait)[0]
        if sys.stdin in readable:
            return
        now = time.monotonic()
        for device in readable:
            try:
                frame = os.read(device, FRAME_MAX)
            except OSError:
                continue
            queue = queues[device]
            at = now + delay + random.uniform(0, jitter)
            if len(queue) < QUEUE_MAX:
                queue.append((max(at, queue[-1][0]) if queue else at, frame))
        now = time.monotonic()
        for device, queue in queues.items():
            while queue and queue[0][0] <= now:
                send(opposite[device], queue.popleft()[1])


main()
