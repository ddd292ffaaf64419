"""The nodes of grad_fn called by hand in a thread, with no word that a scan looks for."""
# question: linear_backward
# deserves: 0 or flag

import threading


def linear_backward(G, Z, W, b):
    found = []

    def work():
        z, w, c = (torch.nn.Parameter(t.clone()) for t in (Z, W, b))
        add = (z @ w.T + c).grad_fn
        g, g_b = add(G)
        mm = add.next_functions[0][0]
        g_z, g_wt = mm(g)
        found.extend([g_z, mm.next_functions[1][0](g_wt), g_b])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found
