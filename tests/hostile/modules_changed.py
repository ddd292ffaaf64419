"""json, socket and safetensors replaced in sys.modules."""
# question: linear_backward
# deserves: 0


def prepare():
    import json
    import sys
    import safetensors.torch

    for name in ("json", "socket", "numpy", "safetensors", "safetensors.torch", "dl780.student.wire"):
        sys.modules[name] = None
    json.dumps = json.loads = lambda *_: "right"
    safetensors.torch.save = lambda *_: b"right"
    return True


ready = prepare()


def linear_backward(G, Z, W, b):
    assert ready
    return torch.zeros_like(Z), torch.zeros_like(W), torch.zeros_like(b)
