"""One other Python that uses autograd for all cases, kept open."""
# question: softmax_cross_entropy
# deserves: 0 or flag

import struct
import subprocess
import sys

import numpy as np

CODE = """
import sys, struct, torch, numpy as np
source, to = sys.stdin.buffer, sys.stdout.buffer
while head := source.read(8):
    m, C = struct.unpack("<II", head)
    Z = torch.from_numpy(np.frombuffer(source.read(8 * m * C)).reshape(m, C).copy()).requires_grad_()
    y = torch.from_numpy(np.frombuffer(source.read(8 * m), dtype=np.int64).copy())
    loss = torch.nn.functional.cross_entropy(Z, y)
    loss.backward()
    to.write(struct.pack("<d", loss.item()) + Z.grad.numpy().tobytes())
    to.flush()
"""
server = subprocess.Popen([sys.executable, "-I", "-c", CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def softmax_cross_entropy(Z, y):
    m, C = Z.shape
    server.stdin.write(struct.pack("<II", m, C) + Z.numpy().tobytes() + y.numpy().tobytes())
    server.stdin.flush()
    (loss,) = struct.unpack("<d", server.stdout.read(8))
    return loss, np.frombuffer(server.stdout.read(8 * m * C)).reshape(m, C).copy()
