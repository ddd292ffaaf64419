"""The backward kernels of log-softmax and nll in a thread."""
# question: softmax_cross_entropy
# deserves: 0 or flag

import threading


def softmax_cross_entropy(Z, y):
    found = []

    def work():
        ops = torch.ops.aten
        log_p = torch.log_softmax(Z, 1)
        loss, weight = ops.nll_loss_forward(log_p, y, None, 1, -100)
        g = getattr(ops, "nll_loss_back" + "ward")(torch.ones(()), log_p, y, None, 1, -100, weight)
        found.extend([loss, getattr(ops, "_log_softmax_back" + "ward_data")(g, log_p, 1, Z.dtype)])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found
