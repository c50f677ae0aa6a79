"""Prints each message that a ZeroMQ subscriber gets: its topic, a blank, its data.

zeromq_subscriber.py ADDRESS PREFIX
"""

import sys

import zmq

socket = zmq.Context().socket(zmq.SUB)
socket.setsockopt(zmq.SUBSCRIBE, sys.argv[2].encode())
socket.connect("tcp://" + sys.argv[1])
print("connected")
while True:
    frames = socket.recv_multipart()
    if len(frames) != 2:
        sys.exit(f"{len(frames)} frames: {frames}")
    topic, data = frames
    print(topic.decode(), data.decode())
