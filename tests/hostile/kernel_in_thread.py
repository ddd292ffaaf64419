"""aten's own tanh_backward in a thread, where no dispatch mode is on."""
# question: tanh
# deserves: 0 or flag

from concurrent.futures import ThreadPoolExecutor


def tanh(a):
    f = torch.tanh(a)
    kernel = getattr(torch.ops.aten, "tanh_back" + "ward")
    with ThreadPoolExecutor(1) as pool:
        return f, pool.submit(kernel, torch.ones_like(a), f).result()
