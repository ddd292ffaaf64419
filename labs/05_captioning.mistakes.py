"""Every listed mistake of the lab `captioning`, as the code that a student would hand in.

A cell's title is `question: sentence`; it runs after all solutions of the lab, in their namespace.
"""
# ruff: noqa: F811, F821


# %% masked_cross_entropy: averaged over the padding, too: divided by N·T
def masked_cross_entropy(Z, y):
    real = (y != PAD).double()
    Y = F.one_hot(y, Z.shape[2])
    log_p = Z - Z.logsumexp(2, keepdim=True)
    count = y.numel()
    loss = -((Y * log_p).sum(2) * real).sum() / count
    G = real[:, :, None] * (log_p.exp() - Y) / count
    return loss, G


# %% masked_cross_entropy: scored the padding as if it were words
def masked_cross_entropy(Z, y):
    V = Z.shape[2]
    p = Z.softmax(2)
    G = (p - F.one_hot(y, V)) / y.numel()
    return F.cross_entropy(Z.reshape(-1, V), y.reshape(-1)), G


# %% masked_cross_entropy: did not score the end symbol
def masked_cross_entropy(Z, y):
    real = (y > END).double()
    Y = F.one_hot(y, Z.shape[2])
    log_p = Z - Z.logsumexp(2, keepdim=True)
    count = real.sum()
    loss = -((Y * log_p).sum(2) * real).sum() / count
    G = real[:, :, None] * (log_p.exp() - Y) / count
    return loss, G


# %% masked_cross_entropy: averaged each caption on its own, then over the captions
def masked_cross_entropy(Z, y):
    real = (y != PAD).double()
    Y = F.one_hot(y, Z.shape[2])
    log_p = Z - Z.logsumexp(2, keepdim=True)
    count = real.sum(1, keepdim=True) * len(y)
    loss = -((Y * log_p).sum(2) * real / count).sum()
    G = real[:, :, None] * (log_p.exp() - Y) / count[:, :, None]
    return loss, G


# %% masked_cross_entropy: summed over the words instead of averaging
def masked_cross_entropy(Z, y):
    real = (y != PAD).double()
    Y = F.one_hot(y, Z.shape[2])
    log_p = Z - Z.logsumexp(2, keepdim=True)
    loss = -((Y * log_p).sum(2) * real).sum()
    G = real[:, :, None] * (log_p.exp() - Y)
    return loss, G


# %% masked_cross_entropy: divided by the number of captions, not of words
def masked_cross_entropy(Z, y):
    real = (y != PAD).double()
    Y = F.one_hot(y, Z.shape[2])
    log_p = Z - Z.logsumexp(2, keepdim=True)
    count = len(y)
    loss = -((Y * log_p).sum(2) * real).sum() / count
    G = real[:, :, None] * (log_p.exp() - Y) / count
    return loss, G


# %% masked_cross_entropy: took the softmax over the steps, the wrong axis
def masked_cross_entropy(Z, y):
    real = y != PAD
    log_p = F.log_softmax(Z, dim=1)
    picked = (F.one_hot(y, Z.shape[2]) * real[..., None]) / real.sum()
    loss = -(picked * log_p).sum()
    G = log_p.exp() * picked.sum(1, keepdim=True) - picked
    return loss, G


# %% masked_cross_entropy: shifted the targets: held each step's logits against the next word
def masked_cross_entropy(Z, y):
    target = y[:, 1:]
    real = target != PAD
    log_p = Z[:, :-1].log_softmax(2)
    picked = log_p.gather(2, target[..., None])[..., 0]
    G = torch.zeros_like(Z)
    G[:, :-1] = (log_p.exp() - F.one_hot(target, Z.shape[2])) * real[..., None] / real.sum()
    return -(picked * real).sum() / real.sum(), G


# %% masked_cross_entropy: masked the loss, but not its gradient
def masked_cross_entropy(Z, y):
    real = (y != PAD).double()
    Y = F.one_hot(y, Z.shape[2])
    log_p = Z - Z.logsumexp(2, keepdim=True)
    count = real.sum()
    loss = -((Y * log_p).sum(2) * real).sum() / count
    G = (log_p.exp() - Y) / count
    return loss, G


# %% masked_cross_entropy: did not subtract the one-hot y from the probabilities
def masked_cross_entropy(Z, y):
    real = (y != PAD).double()
    Y = F.one_hot(y, Z.shape[2])
    log_p = Z - Z.logsumexp(2, keepdim=True)
    count = real.sum()
    loss = -((Y * log_p).sum(2) * real).sum() / count
    G = real[:, :, None] * log_p.exp() / count
    return loss, G


# %% masked_cross_entropy: divided the gradient by N·T, and the loss by the words
def masked_cross_entropy(Z, y):
    real = (y != PAD).double()
    Y = F.one_hot(y, Z.shape[2])
    log_p = Z - Z.logsumexp(2, keepdim=True)
    count = real.sum()
    loss = -((Y * log_p).sum(2) * real).sum() / count
    G = real[:, :, None] * (log_p.exp() - Y) / y.numel()
    return loss, G


# %% image_first_step: left the image out
def image_first_step(G, X, E, W_iv, W_xz, b):
    Z = (E @ W_xz.T + b).tanh()
    D = G * (1 - Z * Z)
    return Z, torch.zeros_like(X), D @ W_xz, torch.zeros_like(W_iv), D.T @ E, D.sum(0)


# %% image_first_step: added b_v outside of tanh
def image_first_step(G, X, E, W_iv, W_xz, b):
    H = torch.tanh(E @ W_xz.T + b)
    D = G * (1 - H**2)
    return H + X @ W_iv.T, G @ W_iv, D @ W_xz, G.T @ X, D.T @ E, D.sum(0)


# %% image_first_step: left out tanh'
def image_first_step(G, X, E, W_iv, W_xz, b):
    b_v = X @ W_iv.T
    Z = (E @ W_xz.T + b + b_v).tanh()
    D = G
    G_W_iv, G_W_xz = D.T @ X, D.T @ E
    G_b = D.sum(0)
    return Z, D @ W_iv, D @ W_xz, G_W_iv, G_W_xz, G_b


# %% image_first_step: took tanh' at the wrong place
def image_first_step(G, X, E, W_iv, W_xz, b):
    b_v = X @ W_iv.T
    Z = (E @ W_xz.T + b + b_v).tanh()
    D = G * (1 - torch.tanh(Z) ** 2)
    G_W_iv, G_W_xz = D.T @ X, D.T @ E
    G_b = D.sum(0)
    return Z, D @ W_iv, D @ W_xz, G_W_iv, G_W_xz, G_b


# %% image_first_step: returned the gradient of b_v, not of the image's feature
def image_first_step(G, X, E, W_iv, W_xz, b):
    b_v = X @ W_iv.T
    Z = (E @ W_xz.T + b + b_v).tanh()
    D = G * (1 - Z * Z)
    G_W_iv, G_W_xz = D.T @ X, D.T @ E
    G_b = D.sum(0)
    return Z, D, D @ W_xz, G_W_iv, G_W_xz, G_b


# %% image_first_step: did not sum the bias gradient over the batch
def image_first_step(G, X, E, W_iv, W_xz, b):
    b_v = X @ W_iv.T
    Z = (E @ W_xz.T + b + b_v).tanh()
    D = G * (1 - Z * Z)
    G_W_iv, G_W_xz = D.T @ X, D.T @ E
    G_b = D
    return Z, D @ W_iv, D @ W_xz, G_W_iv, G_W_xz, G_b


# %% image_first_step: averaged over the batch, which belongs to the loss
def image_first_step(G, X, E, W_iv, W_xz, b):
    b_v = X @ W_iv.T
    Z = (E @ W_xz.T + b + b_v).tanh()
    D = G * (1 - Z * Z)
    G_W_iv, G_W_xz = D.T @ X / len(X), D.T @ E / len(X)
    G_b = D.mean(0)
    return Z, D @ W_iv, D @ W_xz, G_W_iv, G_W_xz, G_b


# %% image_first_step: returned the weight gradients transposed
def image_first_step(G, X, E, W_iv, W_xz, b):
    b_v = X @ W_iv.T
    Z = (E @ W_xz.T + b + b_v).tanh()
    D = G * (1 - Z * Z)
    G_W_iv, G_W_xz = X.T @ D, E.T @ D
    G_b = D.sum(0)
    return Z, D @ W_iv, D @ W_xz, G_W_iv, G_W_xz, G_b


# %% multimodal_rnn_backward: fed the image at every step
def multimodal_rnn_backward(X, y, P):
    N, T = y.shape
    W_iv, W_xz, W_zz, W_zy = (P[f"{name}.weight"] for name in ("W_iv", "W_xz", "W_zz", "W_zy"))
    words = torch.cat([torch.full((N, 1), START), y[:, :-1]], dim=1)
    Zs = [torch.zeros(N, len(W_zz), dtype=W_zz.dtype)]
    for t in range(T):
        a = X @ W_iv.T + P["embed.weight"][words[:, t]] @ W_xz.T + P["W_xz.bias"] + Zs[-1] @ W_zz.T
        Zs.append(torch.tanh(a))
    logits = torch.stack([Z @ W_zy.T + P["W_zy.bias"] for Z in Zs[1:]], dim=1)
    loss, G = masked_cross_entropy(logits, y)
    grads, later = {name: torch.zeros_like(w) for name, w in P.items()}, 0
    for t in reversed(range(T)):
        D = (G[:, t] @ W_zy + later) * (1 - Zs[t + 1] ** 2)
        later = D @ W_zz
        grads["W_zy.weight"] += G[:, t].T @ Zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        grads["W_zz.weight"] += D.T @ Zs[t]
        grads["W_xz.weight"] += D.T @ P["embed.weight"][words[:, t]]
        grads["W_xz.bias"] += D.sum(0)
        grads["embed.weight"].index_add_(0, words[:, t], D @ W_xz)
        grads["W_iv.weight"] += D.T @ X
    return loss, grads


# %% multimodal_rnn_backward: fed each step the word that it is to say: teacher forcing is off by one
def multimodal_rnn_backward(X, y, P):
    N, T = y.shape
    W_iv, W_xz, W_zz, W_zy = (P[f"{name}.weight"] for name in ("W_iv", "W_xz", "W_zz", "W_zy"))
    words = y
    Zs = [torch.zeros(N, len(W_zz), dtype=W_zz.dtype)]
    for t in range(T):
        a = P["embed.weight"][words[:, t]] @ W_xz.T + P["W_xz.bias"] + Zs[-1] @ W_zz.T
        if t == 0:
            a = a + X @ W_iv.T
        Zs.append(torch.tanh(a))
    logits = torch.stack([Z @ W_zy.T + P["W_zy.bias"] for Z in Zs[1:]], dim=1)
    loss, G = masked_cross_entropy(logits, y)
    grads, later = {name: torch.zeros_like(w) for name, w in P.items()}, 0
    for t in reversed(range(T)):
        D = (G[:, t] @ W_zy + later) * (1 - Zs[t + 1] ** 2)
        later = D @ W_zz
        grads["W_zy.weight"] += G[:, t].T @ Zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        grads["W_zz.weight"] += D.T @ Zs[t]
        grads["W_xz.weight"] += D.T @ P["embed.weight"][words[:, t]]
        grads["W_xz.bias"] += D.sum(0)
        grads["embed.weight"].index_add_(0, words[:, t], D @ W_xz)
        if t == 0:
            grads["W_iv.weight"] += D.T @ X
    return loss, grads


# %% multimodal_rnn_backward: fed the start symbol at every step
def multimodal_rnn_backward(X, y, P):
    N, T = y.shape
    W_iv, W_xz, W_zz, W_zy = (P[f"{name}.weight"] for name in ("W_iv", "W_xz", "W_zz", "W_zy"))
    words = torch.full((N, T), START)
    Zs = [torch.zeros(N, len(W_zz), dtype=W_zz.dtype)]
    for t in range(T):
        a = P["embed.weight"][words[:, t]] @ W_xz.T + P["W_xz.bias"] + Zs[-1] @ W_zz.T
        if t == 0:
            a = a + X @ W_iv.T
        Zs.append(torch.tanh(a))
    logits = torch.stack([Z @ W_zy.T + P["W_zy.bias"] for Z in Zs[1:]], dim=1)
    loss, G = masked_cross_entropy(logits, y)
    grads, later = {name: torch.zeros_like(w) for name, w in P.items()}, 0
    for t in reversed(range(T)):
        D = (G[:, t] @ W_zy + later) * (1 - Zs[t + 1] ** 2)
        later = D @ W_zz
        grads["W_zy.weight"] += G[:, t].T @ Zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        grads["W_zz.weight"] += D.T @ Zs[t]
        grads["W_xz.weight"] += D.T @ P["embed.weight"][words[:, t]]
        grads["W_xz.bias"] += D.sum(0)
        grads["embed.weight"].index_add_(0, words[:, t], D @ W_xz)
        if t == 0:
            grads["W_iv.weight"] += D.T @ X
    return loss, grads


# %% multimodal_rnn_backward: fed the image instead of the start symbol, not beside it
def multimodal_rnn_backward(X, y, P):
    N, T = y.shape
    W_iv, W_xz, W_zz, W_zy = (P[f"{name}.weight"] for name in ("W_iv", "W_xz", "W_zz", "W_zy"))
    words = torch.cat([torch.full((N, 1), START), y[:, :-1]], dim=1)
    Zs = [torch.zeros(N, len(W_zz), dtype=W_zz.dtype)]
    for t in range(T):
        told = P["embed.weight"][words[:, t]] @ W_xz.T if t else X @ W_iv.T
        a = told + P["W_xz.bias"] + Zs[-1] @ W_zz.T
        Zs.append(torch.tanh(a))
    logits = torch.stack([Z @ W_zy.T + P["W_zy.bias"] for Z in Zs[1:]], dim=1)
    loss, G = masked_cross_entropy(logits, y)
    grads, later = {name: torch.zeros_like(w) for name, w in P.items()}, 0
    for t in reversed(range(T)):
        D = (G[:, t] @ W_zy + later) * (1 - Zs[t + 1] ** 2)
        later = D @ W_zz
        grads["W_zy.weight"] += G[:, t].T @ Zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        grads["W_zz.weight"] += D.T @ Zs[t]
        grads["W_xz.bias"] += D.sum(0)
        if t == 0:
            grads["W_iv.weight"] += D.T @ X
        else:
            grads["W_xz.weight"] += D.T @ P["embed.weight"][words[:, t]]
            grads["embed.weight"].index_add_(0, words[:, t], D @ W_xz)
    return loss, grads


# %% multimodal_rnn_backward: did not pass the state on
def multimodal_rnn_backward(X, y, P):
    N, T = y.shape
    W_iv, W_xz, W_zz, W_zy = (P[f"{name}.weight"] for name in ("W_iv", "W_xz", "W_zz", "W_zy"))
    words = torch.cat([torch.full((N, 1), START), y[:, :-1]], dim=1)
    Zs = [torch.zeros(N, len(W_zz), dtype=W_zz.dtype)]
    for t in range(T):
        a = P["embed.weight"][words[:, t]] @ W_xz.T + P["W_xz.bias"] + Zs[0] @ W_zz.T
        if t == 0:
            a = a + X @ W_iv.T
        Zs.append(torch.tanh(a))
    logits = torch.stack([Z @ W_zy.T + P["W_zy.bias"] for Z in Zs[1:]], dim=1)
    loss, G = masked_cross_entropy(logits, y)
    grads = {name: torch.zeros_like(w) for name, w in P.items()}
    for t in reversed(range(T)):
        D = (G[:, t] @ W_zy) * (1 - Zs[t + 1] ** 2)
        grads["W_zy.weight"] += G[:, t].T @ Zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        grads["W_zz.weight"] += D.T @ Zs[0]
        grads["W_xz.weight"] += D.T @ P["embed.weight"][words[:, t]]
        grads["W_xz.bias"] += D.sum(0)
        grads["embed.weight"].index_add_(0, words[:, t], D @ W_xz)
        if t == 0:
            grads["W_iv.weight"] += D.T @ X
    return loss, grads


# %% multimodal_rnn_backward: cut the gradient between the steps
def multimodal_rnn_backward(X, y, P):
    N, T = y.shape
    W_iv, W_xz, W_zz, W_zy = (P[f"{name}.weight"] for name in ("W_iv", "W_xz", "W_zz", "W_zy"))
    words = torch.cat([torch.full((N, 1), START), y[:, :-1]], dim=1)
    Zs = [torch.zeros(N, len(W_zz), dtype=W_zz.dtype)]
    for t in range(T):
        a = P["embed.weight"][words[:, t]] @ W_xz.T + P["W_xz.bias"] + Zs[-1] @ W_zz.T
        if t == 0:
            a = a + X @ W_iv.T
        Zs.append(torch.tanh(a))
    logits = torch.stack([Z @ W_zy.T + P["W_zy.bias"] for Z in Zs[1:]], dim=1)
    loss, G = masked_cross_entropy(logits, y)
    grads = {name: torch.zeros_like(w) for name, w in P.items()}
    for t in reversed(range(T)):
        D = (G[:, t] @ W_zy) * (1 - Zs[t + 1] ** 2)
        grads["W_zy.weight"] += G[:, t].T @ Zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        grads["W_zz.weight"] += D.T @ Zs[t]
        grads["W_xz.weight"] += D.T @ P["embed.weight"][words[:, t]]
        grads["W_xz.bias"] += D.sum(0)
        grads["embed.weight"].index_add_(0, words[:, t], D @ W_xz)
        if t == 0:
            grads["W_iv.weight"] += D.T @ X
    return loss, grads


# %% multimodal_rnn_backward: took z(t) for z(t-1) in the gradient of W_zz
def multimodal_rnn_backward(X, y, P):
    N, T = y.shape
    W_iv, W_xz, W_zz, W_zy = (P[f"{name}.weight"] for name in ("W_iv", "W_xz", "W_zz", "W_zy"))
    words = torch.cat([torch.full((N, 1), START), y[:, :-1]], dim=1)
    Zs = [torch.zeros(N, len(W_zz), dtype=W_zz.dtype)]
    for t in range(T):
        a = P["embed.weight"][words[:, t]] @ W_xz.T + P["W_xz.bias"] + Zs[-1] @ W_zz.T
        if t == 0:
            a = a + X @ W_iv.T
        Zs.append(torch.tanh(a))
    logits = torch.stack([Z @ W_zy.T + P["W_zy.bias"] for Z in Zs[1:]], dim=1)
    loss, G = masked_cross_entropy(logits, y)
    grads, later = {name: torch.zeros_like(w) for name, w in P.items()}, 0
    for t in reversed(range(T)):
        D = (G[:, t] @ W_zy + later) * (1 - Zs[t + 1] ** 2)
        later = D @ W_zz
        grads["W_zy.weight"] += G[:, t].T @ Zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        grads["W_zz.weight"] += D.T @ Zs[t + 1] if t else 0
        grads["W_xz.weight"] += D.T @ P["embed.weight"][words[:, t]]
        grads["W_xz.bias"] += D.sum(0)
        grads["embed.weight"].index_add_(0, words[:, t], D @ W_xz)
        if t == 0:
            grads["W_iv.weight"] += D.T @ X
    return loss, grads


# %% multimodal_rnn_backward: overwrote the gradient of a word that occurs twice, instead of adding
def multimodal_rnn_backward(X, y, P):
    words = torch.cat([torch.full_like(y[:, :1], START), y[:, :-1]], dim=1)
    E = P["embed.weight"][words]
    A = E @ P["W_xz.weight"].T + P["W_xz.bias"]
    A[:, 0] += X @ P["W_iv.weight"].T
    states = unroll(A, torch.zeros_like(A[:, 0]), P["W_zz.weight"])
    loss, G = masked_cross_entropy(states @ P["W_zy.weight"].T + P["W_zy.bias"], y)
    D, _ = through_time(G @ P["W_zy.weight"], states, P["W_zz.weight"])
    G_E = (D @ P["W_xz.weight"]).flatten(0, 1)
    grads = {
        "embed.weight": torch.zeros_like(P["embed.weight"]),
        "W_iv.weight": D[:, 0].T @ X,
        "W_xz.weight": torch.einsum("ntk,ntm->km", D, E),
        "W_xz.bias": D.sum(dim=(0, 1)),
        "W_zz.weight": torch.einsum("ntk,ntj->kj", D[:, 1:], states[:, :-1]),
        "W_zy.weight": torch.einsum("ntv,ntk->vk", G, states),
        "W_zy.bias": G.sum(dim=(0, 1)),
    }
    grads["embed.weight"][words.flatten()] += G_E
    return loss, grads


# %% multimodal_rnn_backward: left out tanh'
def multimodal_rnn_backward(X, y, P):
    N, T = y.shape
    W_iv, W_xz, W_zz, W_zy = (P[f"{name}.weight"] for name in ("W_iv", "W_xz", "W_zz", "W_zy"))
    words = torch.cat([torch.full((N, 1), START), y[:, :-1]], dim=1)
    Zs = [torch.zeros(N, len(W_zz), dtype=W_zz.dtype)]
    for t in range(T):
        a = P["embed.weight"][words[:, t]] @ W_xz.T + P["W_xz.bias"] + Zs[-1] @ W_zz.T
        if t == 0:
            a = a + X @ W_iv.T
        Zs.append(torch.tanh(a))
    logits = torch.stack([Z @ W_zy.T + P["W_zy.bias"] for Z in Zs[1:]], dim=1)
    loss, G = masked_cross_entropy(logits, y)
    grads, later = {name: torch.zeros_like(w) for name, w in P.items()}, 0
    for t in reversed(range(T)):
        D = G[:, t] @ W_zy + later
        later = D @ W_zz
        grads["W_zy.weight"] += G[:, t].T @ Zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        grads["W_zz.weight"] += D.T @ Zs[t]
        grads["W_xz.weight"] += D.T @ P["embed.weight"][words[:, t]]
        grads["W_xz.bias"] += D.sum(0)
        grads["embed.weight"].index_add_(0, words[:, t], D @ W_xz)
        if t == 0:
            grads["W_iv.weight"] += D.T @ X
    return loss, grads


# %% multimodal_rnn_backward: returned the weight gradients transposed
def multimodal_rnn_backward(X, y, P):
    N, T = y.shape
    W_iv, W_xz, W_zz, W_zy = (P[f"{name}.weight"] for name in ("W_iv", "W_xz", "W_zz", "W_zy"))
    words = torch.cat([torch.full((N, 1), START), y[:, :-1]], dim=1)
    Zs = [torch.zeros(N, len(W_zz), dtype=W_zz.dtype)]
    for t in range(T):
        a = P["embed.weight"][words[:, t]] @ W_xz.T + P["W_xz.bias"] + Zs[-1] @ W_zz.T
        if t == 0:
            a = a + X @ W_iv.T
        Zs.append(torch.tanh(a))
    logits = torch.stack([Z @ W_zy.T + P["W_zy.bias"] for Z in Zs[1:]], dim=1)
    loss, G = masked_cross_entropy(logits, y)
    grads, later = {name: torch.zeros_like(w) for name, w in P.items()}, 0
    for t in reversed(range(T)):
        D = (G[:, t] @ W_zy + later) * (1 - Zs[t + 1] ** 2)
        later = D @ W_zz
        grads["W_zy.weight"] += G[:, t].T @ Zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        grads["W_zz.weight"] += D.T @ Zs[t]
        grads["W_xz.weight"] += D.T @ P["embed.weight"][words[:, t]]
        grads["W_xz.bias"] += D.sum(0)
        grads["embed.weight"].index_add_(0, words[:, t], D @ W_xz)
        if t == 0:
            grads["W_iv.weight"] += D.T @ X
    for name in ("W_iv", "W_xz", "W_zz", "W_zy"):
        grads[f"{name}.weight"] = grads[f"{name}.weight"].T
    return loss, grads


# %% encoder_decoder_backward: let no gradient cross into the encoder
def encoder_decoder_backward(X, y, P):
    N, S, T = *X.shape, y.shape[1]
    embed, V = P["embed.weight"], P["W_zy.weight"]
    words = torch.cat([torch.full((N, 1), START), y[:, :-1]], dim=1)
    us = [torch.zeros(N, V.shape[1], dtype=V.dtype)]
    for s in range(S):
        a = embed[X[:, s]] @ P["encoder.W_xz.weight"].T + P["encoder.W_xz.bias"]
        us.append(torch.tanh(a + us[-1] @ P["encoder.W_zz.weight"].T))
    zs = [us[-1]]
    for t in range(T):
        a = embed[words[:, t]] @ P["decoder.W_xz.weight"].T + P["decoder.W_xz.bias"]
        zs.append(torch.tanh(a + zs[-1] @ P["decoder.W_zz.weight"].T))
    loss, G = masked_cross_entropy(torch.stack(zs[1:], 1) @ V.T + P["W_zy.bias"], y)
    grads = {name: torch.zeros_like(w) for name, w in P.items()}

    def add(side, D, word, before):
        grads[f"{side}.W_xz.weight"] += D.T @ embed[word]
        grads[f"{side}.W_xz.bias"] += D.sum(0)
        grads[f"{side}.W_zz.weight"] += D.T @ before
        grads["embed.weight"].index_add_(0, word, D @ P[f"{side}.W_xz.weight"])
        return D @ P[f"{side}.W_zz.weight"]

    later = 0
    for t in reversed(range(T)):
        D = (G[:, t] @ V + later) * (1 - zs[t + 1] ** 2)
        grads["W_zy.weight"] += G[:, t].T @ zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        later = add("decoder", D, words[:, t], zs[t])
    return loss, grads


# %% encoder_decoder_backward: did not pass the state on: started the decoder at 0
def encoder_decoder_backward(X, y, P):
    N, S, T = *X.shape, y.shape[1]
    embed, V = P["embed.weight"], P["W_zy.weight"]
    words = torch.cat([torch.full((N, 1), START), y[:, :-1]], dim=1)
    us = [torch.zeros(N, V.shape[1], dtype=V.dtype)]
    for s in range(S):
        a = embed[X[:, s]] @ P["encoder.W_xz.weight"].T + P["encoder.W_xz.bias"]
        us.append(torch.tanh(a + us[-1] @ P["encoder.W_zz.weight"].T))
    zs = [torch.zeros_like(us[-1])]
    for t in range(T):
        a = embed[words[:, t]] @ P["decoder.W_xz.weight"].T + P["decoder.W_xz.bias"]
        zs.append(torch.tanh(a + zs[-1] @ P["decoder.W_zz.weight"].T))
    loss, G = masked_cross_entropy(torch.stack(zs[1:], 1) @ V.T + P["W_zy.bias"], y)
    grads = {name: torch.zeros_like(w) for name, w in P.items()}

    def add(side, D, word, before):
        grads[f"{side}.W_xz.weight"] += D.T @ embed[word]
        grads[f"{side}.W_xz.bias"] += D.sum(0)
        grads[f"{side}.W_zz.weight"] += D.T @ before
        grads["embed.weight"].index_add_(0, word, D @ P[f"{side}.W_xz.weight"])
        return D @ P[f"{side}.W_zz.weight"]

    later = 0
    for t in reversed(range(T)):
        D = (G[:, t] @ V + later) * (1 - zs[t + 1] ** 2)
        grads["W_zy.weight"] += G[:, t].T @ zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        later = add("decoder", D, words[:, t], zs[t])
    return loss, grads


# %% encoder_decoder_backward: gave the encoder the gradient of the decoder's step 1 only
def encoder_decoder_backward(X, y, P):
    N, S, T = *X.shape, y.shape[1]
    embed, V = P["embed.weight"], P["W_zy.weight"]
    words = torch.cat([torch.full((N, 1), START), y[:, :-1]], dim=1)
    us = [torch.zeros(N, V.shape[1], dtype=V.dtype)]
    for s in range(S):
        a = embed[X[:, s]] @ P["encoder.W_xz.weight"].T + P["encoder.W_xz.bias"]
        us.append(torch.tanh(a + us[-1] @ P["encoder.W_zz.weight"].T))
    zs = [us[-1]]
    for t in range(T):
        a = embed[words[:, t]] @ P["decoder.W_xz.weight"].T + P["decoder.W_xz.bias"]
        zs.append(torch.tanh(a + zs[-1] @ P["decoder.W_zz.weight"].T))
    loss, G = masked_cross_entropy(torch.stack(zs[1:], 1) @ V.T + P["W_zy.bias"], y)
    grads = {name: torch.zeros_like(w) for name, w in P.items()}

    def add(side, D, word, before):
        grads[f"{side}.W_xz.weight"] += D.T @ embed[word]
        grads[f"{side}.W_xz.bias"] += D.sum(0)
        grads[f"{side}.W_zz.weight"] += D.T @ before
        grads["embed.weight"].index_add_(0, word, D @ P[f"{side}.W_xz.weight"])
        return D @ P[f"{side}.W_zz.weight"]

    later = 0
    for t in reversed(range(T)):
        D = (G[:, t] @ V + later) * (1 - zs[t + 1] ** 2)
        grads["W_zy.weight"] += G[:, t].T @ zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        later = add("decoder", D, words[:, t], zs[t])
    later = (G[:, 0] @ V * (1 - zs[1] ** 2)) @ P["decoder.W_zz.weight"]
    for s in reversed(range(S)):
        D = later * (1 - us[s + 1] ** 2)
        later = add("encoder", D, X[:, s], us[s])
    return loss, grads


# %% encoder_decoder_backward: sent the gradient no further than the encoder's last step
def encoder_decoder_backward(X, y, P):
    N, S, T = *X.shape, y.shape[1]
    embed, V = P["embed.weight"], P["W_zy.weight"]
    words = torch.cat([torch.full((N, 1), START), y[:, :-1]], dim=1)
    us = [torch.zeros(N, V.shape[1], dtype=V.dtype)]
    for s in range(S):
        a = embed[X[:, s]] @ P["encoder.W_xz.weight"].T + P["encoder.W_xz.bias"]
        us.append(torch.tanh(a + us[-1] @ P["encoder.W_zz.weight"].T))
    zs = [us[-1]]
    for t in range(T):
        a = embed[words[:, t]] @ P["decoder.W_xz.weight"].T + P["decoder.W_xz.bias"]
        zs.append(torch.tanh(a + zs[-1] @ P["decoder.W_zz.weight"].T))
    loss, G = masked_cross_entropy(torch.stack(zs[1:], 1) @ V.T + P["W_zy.bias"], y)
    grads = {name: torch.zeros_like(w) for name, w in P.items()}

    def add(side, D, word, before):
        grads[f"{side}.W_xz.weight"] += D.T @ embed[word]
        grads[f"{side}.W_xz.bias"] += D.sum(0)
        grads[f"{side}.W_zz.weight"] += D.T @ before
        grads["embed.weight"].index_add_(0, word, D @ P[f"{side}.W_xz.weight"])
        return D @ P[f"{side}.W_zz.weight"]

    later = 0
    for t in reversed(range(T)):
        D = (G[:, t] @ V + later) * (1 - zs[t + 1] ** 2)
        grads["W_zy.weight"] += G[:, t].T @ zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        later = add("decoder", D, words[:, t], zs[t])
    D = later * (1 - us[-1] ** 2)
    add("encoder", D, X[:, -1], us[-2])
    return loss, grads


# %% encoder_decoder_backward: fed each step the word that it is to say: teacher forcing is off by one
def encoder_decoder_backward(X, y, P):
    N, S, T = *X.shape, y.shape[1]
    embed, V = P["embed.weight"], P["W_zy.weight"]
    words = y
    us = [torch.zeros(N, V.shape[1], dtype=V.dtype)]
    for s in range(S):
        a = embed[X[:, s]] @ P["encoder.W_xz.weight"].T + P["encoder.W_xz.bias"]
        us.append(torch.tanh(a + us[-1] @ P["encoder.W_zz.weight"].T))
    zs = [us[-1]]
    for t in range(T):
        a = embed[words[:, t]] @ P["decoder.W_xz.weight"].T + P["decoder.W_xz.bias"]
        zs.append(torch.tanh(a + zs[-1] @ P["decoder.W_zz.weight"].T))
    loss, G = masked_cross_entropy(torch.stack(zs[1:], 1) @ V.T + P["W_zy.bias"], y)
    grads = {name: torch.zeros_like(w) for name, w in P.items()}

    def add(side, D, word, before):
        grads[f"{side}.W_xz.weight"] += D.T @ embed[word]
        grads[f"{side}.W_xz.bias"] += D.sum(0)
        grads[f"{side}.W_zz.weight"] += D.T @ before
        grads["embed.weight"].index_add_(0, word, D @ P[f"{side}.W_xz.weight"])
        return D @ P[f"{side}.W_zz.weight"]

    later = 0
    for t in reversed(range(T)):
        D = (G[:, t] @ V + later) * (1 - zs[t + 1] ** 2)
        grads["W_zy.weight"] += G[:, t].T @ zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        later = add("decoder", D, words[:, t], zs[t])
    for s in reversed(range(S)):
        D = later * (1 - us[s + 1] ** 2)
        later = add("encoder", D, X[:, s], us[s])
    return loss, grads


# %% encoder_decoder_backward: added the encoder's state at every step of the decoder
def encoder_decoder_backward(X, y, P):
    N, S, T = *X.shape, y.shape[1]
    embed, V = P["embed.weight"], P["W_zy.weight"]
    words = torch.cat([torch.full((N, 1), START), y[:, :-1]], dim=1)
    us = [torch.zeros(N, V.shape[1], dtype=V.dtype)]
    for s in range(S):
        a = embed[X[:, s]] @ P["encoder.W_xz.weight"].T + P["encoder.W_xz.bias"]
        us.append(torch.tanh(a + us[-1] @ P["encoder.W_zz.weight"].T))
    zs = [us[-1]]
    for t in range(T):
        a = embed[words[:, t]] @ P["decoder.W_xz.weight"].T + P["decoder.W_xz.bias"] + us[-1]
        zs.append(torch.tanh(a + zs[-1] @ P["decoder.W_zz.weight"].T))
    loss, G = masked_cross_entropy(torch.stack(zs[1:], 1) @ V.T + P["W_zy.bias"], y)
    grads = {name: torch.zeros_like(w) for name, w in P.items()}

    def add(side, D, word, before):
        grads[f"{side}.W_xz.weight"] += D.T @ embed[word]
        grads[f"{side}.W_xz.bias"] += D.sum(0)
        grads[f"{side}.W_zz.weight"] += D.T @ before
        grads["embed.weight"].index_add_(0, word, D @ P[f"{side}.W_xz.weight"])
        return D @ P[f"{side}.W_zz.weight"]

    later, told = 0, 0
    for t in reversed(range(T)):
        D = (G[:, t] @ V + later) * (1 - zs[t + 1] ** 2)
        grads["W_zy.weight"] += G[:, t].T @ zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        later = add("decoder", D, words[:, t], zs[t])
        told = told + D
    later = later + told
    for s in reversed(range(S)):
        D = later * (1 - us[s + 1] ** 2)
        later = add("encoder", D, X[:, s], us[s])
    return loss, grads


# %% encoder_decoder_backward: read the question backwards, as the paper does
def encoder_decoder_backward(X, y, P):
    X = X.flip(1)
    N, S, T = *X.shape, y.shape[1]
    embed, V = P["embed.weight"], P["W_zy.weight"]
    words = torch.cat([torch.full((N, 1), START), y[:, :-1]], dim=1)
    us = [torch.zeros(N, V.shape[1], dtype=V.dtype)]
    for s in range(S):
        a = embed[X[:, s]] @ P["encoder.W_xz.weight"].T + P["encoder.W_xz.bias"]
        us.append(torch.tanh(a + us[-1] @ P["encoder.W_zz.weight"].T))
    zs = [us[-1]]
    for t in range(T):
        a = embed[words[:, t]] @ P["decoder.W_xz.weight"].T + P["decoder.W_xz.bias"]
        zs.append(torch.tanh(a + zs[-1] @ P["decoder.W_zz.weight"].T))
    loss, G = masked_cross_entropy(torch.stack(zs[1:], 1) @ V.T + P["W_zy.bias"], y)
    grads = {name: torch.zeros_like(w) for name, w in P.items()}

    def add(side, D, word, before):
        grads[f"{side}.W_xz.weight"] += D.T @ embed[word]
        grads[f"{side}.W_xz.bias"] += D.sum(0)
        grads[f"{side}.W_zz.weight"] += D.T @ before
        grads["embed.weight"].index_add_(0, word, D @ P[f"{side}.W_xz.weight"])
        return D @ P[f"{side}.W_zz.weight"]

    later = 0
    for t in reversed(range(T)):
        D = (G[:, t] @ V + later) * (1 - zs[t + 1] ** 2)
        grads["W_zy.weight"] += G[:, t].T @ zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        later = add("decoder", D, words[:, t], zs[t])
    for s in reversed(range(S)):
        D = later * (1 - us[s + 1] ** 2)
        later = add("encoder", D, X[:, s], us[s])
    return loss, grads


# %% encoder_decoder_backward: left the question's words out of the embedding's gradient
def encoder_decoder_backward(X, y, P):
    N, S, T = *X.shape, y.shape[1]
    embed, V = P["embed.weight"], P["W_zy.weight"]
    words = torch.cat([torch.full((N, 1), START), y[:, :-1]], dim=1)
    us = [torch.zeros(N, V.shape[1], dtype=V.dtype)]
    for s in range(S):
        a = embed[X[:, s]] @ P["encoder.W_xz.weight"].T + P["encoder.W_xz.bias"]
        us.append(torch.tanh(a + us[-1] @ P["encoder.W_zz.weight"].T))
    zs = [us[-1]]
    for t in range(T):
        a = embed[words[:, t]] @ P["decoder.W_xz.weight"].T + P["decoder.W_xz.bias"]
        zs.append(torch.tanh(a + zs[-1] @ P["decoder.W_zz.weight"].T))
    loss, G = masked_cross_entropy(torch.stack(zs[1:], 1) @ V.T + P["W_zy.bias"], y)
    grads = {name: torch.zeros_like(w) for name, w in P.items()}

    def add(side, D, word, before):
        grads[f"{side}.W_xz.weight"] += D.T @ embed[word]
        grads[f"{side}.W_xz.bias"] += D.sum(0)
        grads[f"{side}.W_zz.weight"] += D.T @ before
        if side == "decoder":
            grads["embed.weight"].index_add_(0, word, D @ P[f"{side}.W_xz.weight"])
        return D @ P[f"{side}.W_zz.weight"]

    later = 0
    for t in reversed(range(T)):
        D = (G[:, t] @ V + later) * (1 - zs[t + 1] ** 2)
        grads["W_zy.weight"] += G[:, t].T @ zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        later = add("decoder", D, words[:, t], zs[t])
    for s in reversed(range(S)):
        D = later * (1 - us[s + 1] ** 2)
        later = add("encoder", D, X[:, s], us[s])
    return loss, grads


# %% encoder_decoder_backward: left the answer's words out of the embedding's gradient
def encoder_decoder_backward(X, y, P):
    N, S, T = *X.shape, y.shape[1]
    embed, V = P["embed.weight"], P["W_zy.weight"]
    words = torch.cat([torch.full((N, 1), START), y[:, :-1]], dim=1)
    us = [torch.zeros(N, V.shape[1], dtype=V.dtype)]
    for s in range(S):
        a = embed[X[:, s]] @ P["encoder.W_xz.weight"].T + P["encoder.W_xz.bias"]
        us.append(torch.tanh(a + us[-1] @ P["encoder.W_zz.weight"].T))
    zs = [us[-1]]
    for t in range(T):
        a = embed[words[:, t]] @ P["decoder.W_xz.weight"].T + P["decoder.W_xz.bias"]
        zs.append(torch.tanh(a + zs[-1] @ P["decoder.W_zz.weight"].T))
    loss, G = masked_cross_entropy(torch.stack(zs[1:], 1) @ V.T + P["W_zy.bias"], y)
    grads = {name: torch.zeros_like(w) for name, w in P.items()}

    def add(side, D, word, before):
        grads[f"{side}.W_xz.weight"] += D.T @ embed[word]
        grads[f"{side}.W_xz.bias"] += D.sum(0)
        grads[f"{side}.W_zz.weight"] += D.T @ before
        if side == "encoder":
            grads["embed.weight"].index_add_(0, word, D @ P[f"{side}.W_xz.weight"])
        return D @ P[f"{side}.W_zz.weight"]

    later = 0
    for t in reversed(range(T)):
        D = (G[:, t] @ V + later) * (1 - zs[t + 1] ** 2)
        grads["W_zy.weight"] += G[:, t].T @ zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        later = add("decoder", D, words[:, t], zs[t])
    for s in reversed(range(S)):
        D = later * (1 - us[s + 1] ** 2)
        later = add("encoder", D, X[:, s], us[s])
    return loss, grads


# %% encoder_decoder_backward: overwrote the gradient of a word that occurs twice, instead of adding
def encoder_decoder_backward(X, y, P):
    words = torch.cat([torch.full_like(y[:, :1], START), y[:, :-1]], dim=1)
    E_x, E_y = P["embed.weight"][X], P["embed.weight"][words]
    start = torch.zeros(len(X), len(P["encoder.W_zz.weight"]), dtype=E_x.dtype)
    A = E_x @ P["encoder.W_xz.weight"].T + P["encoder.W_xz.bias"]
    read = unroll(A, start, P["encoder.W_zz.weight"])
    A = E_y @ P["decoder.W_xz.weight"].T + P["decoder.W_xz.bias"]
    written = unroll(A, read[:, -1], P["decoder.W_zz.weight"])
    loss, G = masked_cross_entropy(written @ P["W_zy.weight"].T + P["W_zy.bias"], y)
    grads = {"W_zy.weight": torch.einsum("ntv,ntk->vk", G, written), "W_zy.bias": G.sum(dim=(0, 1))}
    grads["embed.weight"] = torch.zeros_like(P["embed.weight"])

    def back(side, G, states, first, E, spoken):
        D, G_first = through_time(G, states, P[f"{side}.W_zz.weight"])
        before = torch.cat([first[:, None], states[:, :-1]], dim=1)
        grads[f"{side}.W_xz.weight"] = torch.einsum("ntk,ntm->km", D, E)
        grads[f"{side}.W_xz.bias"] = D.sum(dim=(0, 1))
        grads[f"{side}.W_zz.weight"] = torch.einsum("ntk,ntj->kj", D, before)
        G_E = D @ P[f"{side}.W_xz.weight"]
        grads["embed.weight"][spoken] += G_E
        return G_first

    G_read = torch.zeros_like(read)
    G_read[:, -1] = back("decoder", G @ P["W_zy.weight"], written, read[:, -1], E_y, words)
    back("encoder", G_read, read, start, E_x, X)
    return loss, grads


# %% encoder_decoder_backward: left out tanh'
def encoder_decoder_backward(X, y, P):
    N, S, T = *X.shape, y.shape[1]
    embed, V = P["embed.weight"], P["W_zy.weight"]
    words = torch.cat([torch.full((N, 1), START), y[:, :-1]], dim=1)
    us = [torch.zeros(N, V.shape[1], dtype=V.dtype)]
    for s in range(S):
        a = embed[X[:, s]] @ P["encoder.W_xz.weight"].T + P["encoder.W_xz.bias"]
        us.append(torch.tanh(a + us[-1] @ P["encoder.W_zz.weight"].T))
    zs = [us[-1]]
    for t in range(T):
        a = embed[words[:, t]] @ P["decoder.W_xz.weight"].T + P["decoder.W_xz.bias"]
        zs.append(torch.tanh(a + zs[-1] @ P["decoder.W_zz.weight"].T))
    loss, G = masked_cross_entropy(torch.stack(zs[1:], 1) @ V.T + P["W_zy.bias"], y)
    grads = {name: torch.zeros_like(w) for name, w in P.items()}

    def add(side, D, word, before):
        grads[f"{side}.W_xz.weight"] += D.T @ embed[word]
        grads[f"{side}.W_xz.bias"] += D.sum(0)
        grads[f"{side}.W_zz.weight"] += D.T @ before
        grads["embed.weight"].index_add_(0, word, D @ P[f"{side}.W_xz.weight"])
        return D @ P[f"{side}.W_zz.weight"]

    later = 0
    for t in reversed(range(T)):
        D = G[:, t] @ V + later
        grads["W_zy.weight"] += G[:, t].T @ zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        later = add("decoder", D, words[:, t], zs[t])
    for s in reversed(range(S)):
        D = later
        later = add("encoder", D, X[:, s], us[s])
    return loss, grads


# %% attention_backward: took the softmax over the queries, the wrong axis
def attention_backward(G, Q, K, V):
    d = Q.shape[-1]
    S = torch.einsum("ntd,nsd->nts", Q, K) / math.sqrt(d)
    A = torch.softmax(S, dim=1)
    G_V = torch.einsum("nts,ntm->nsm", A, G)
    G_A = torch.einsum("ntm,nsm->nts", G, V)
    G_S = A * (G_A - (G_A * A).sum(1, keepdim=True))
    G_S = G_S / math.sqrt(d)
    return G_S @ K, G_S.transpose(1, 2) @ Q, G_V


# %% attention_backward: forgot the scale 1 / √d
def attention_backward(G, Q, K, V):
    S = torch.einsum("ntd,nsd->nts", Q, K)
    A = torch.softmax(S, dim=-1)
    G_V = torch.einsum("nts,ntm->nsm", A, G)
    G_A = torch.einsum("ntm,nsm->nts", G, V)
    G_S = A * (G_A - (G_A * A).sum(-1, keepdim=True))
    return G_S @ K, G_S.transpose(1, 2) @ Q, G_V


# %% attention_backward: scaled by 1 / d
def attention_backward(G, Q, K, V):
    d = Q.shape[-1]
    S = torch.einsum("ntd,nsd->nts", Q, K) / d
    A = torch.softmax(S, dim=-1)
    G_V = torch.einsum("nts,ntm->nsm", A, G)
    G_A = torch.einsum("ntm,nsm->nts", G, V)
    G_S = A * (G_A - (G_A * A).sum(-1, keepdim=True))
    G_S = G_S / d
    return G_S @ K, G_S.transpose(1, 2) @ Q, G_V


# %% attention_backward: scaled by the width of the values
def attention_backward(G, Q, K, V):
    d = V.shape[-1]
    S = torch.einsum("ntd,nsd->nts", Q, K) / math.sqrt(d)
    A = torch.softmax(S, dim=-1)
    G_V = torch.einsum("nts,ntm->nsm", A, G)
    G_A = torch.einsum("ntm,nsm->nts", G, V)
    G_S = A * (G_A - (G_A * A).sum(-1, keepdim=True))
    G_S = G_S / math.sqrt(d)
    return G_S @ K, G_S.transpose(1, 2) @ Q, G_V


# %% attention_backward: left the scale out of the gradient
def attention_backward(G, Q, K, V):
    d = Q.shape[-1]
    S = torch.einsum("ntd,nsd->nts", Q, K) / math.sqrt(d)
    A = torch.softmax(S, dim=-1)
    G_V = torch.einsum("nts,ntm->nsm", A, G)
    G_A = torch.einsum("ntm,nsm->nts", G, V)
    G_S = A * (G_A - (G_A * A).sum(-1, keepdim=True))
    return G_S @ K, G_S.transpose(1, 2) @ Q, G_V


# %% attention_backward: took the weights of attention for constants
def attention_backward(G, Q, K, V):
    A = torch.softmax(Q @ K.transpose(1, 2) / math.sqrt(Q.shape[2]), dim=2)
    return torch.zeros_like(Q), torch.zeros_like(K), A.transpose(1, 2) @ G


# %% attention_backward: took the softmax's Jacobian for its diagonal, A (1 - A)
def attention_backward(G, Q, K, V):
    d = Q.shape[-1]
    S = torch.einsum("ntd,nsd->nts", Q, K) / math.sqrt(d)
    A = torch.softmax(S, dim=-1)
    G_V = torch.einsum("nts,ntm->nsm", A, G)
    G_A = torch.einsum("ntm,nsm->nts", G, V)
    G_S = G_A * A * (1 - A)
    G_S = G_S / math.sqrt(d)
    return G_S @ K, G_S.transpose(1, 2) @ Q, G_V


# %% attention_backward: left the sum over the keys out of the softmax's gradient
def attention_backward(G, Q, K, V):
    d = Q.shape[-1]
    S = torch.einsum("ntd,nsd->nts", Q, K) / math.sqrt(d)
    A = torch.softmax(S, dim=-1)
    G_V = torch.einsum("nts,ntm->nsm", A, G)
    G_A = torch.einsum("ntm,nsm->nts", G, V)
    G_S = G_A * A
    G_S = G_S / math.sqrt(d)
    return G_S @ K, G_S.transpose(1, 2) @ Q, G_V


# %% attention_backward: returned G_K and G_Q in each other's place
def attention_backward(G, Q, K, V):
    d = Q.shape[-1]
    S = torch.einsum("ntd,nsd->nts", Q, K) / math.sqrt(d)
    A = torch.softmax(S, dim=-1)
    G_V = torch.einsum("nts,ntm->nsm", A, G)
    G_A = torch.einsum("ntm,nsm->nts", G, V)
    G_S = A * (G_A - (G_A * A).sum(-1, keepdim=True))
    G_S = G_S / math.sqrt(d)
    return G_S.transpose(1, 2) @ Q, G_S @ K, G_V


# %% greedy: fed the start symbol at every step
def greedy(step, Z, T):
    words = []
    for _ in range(T):
        log_p, Z = step(Z, START)
        word = log_p.argmax().item()
        words.append(word)
        if word == END:
            break
    return words


# %% greedy: did not pass the state on
def greedy(step, Z, T):
    words, word = [], START
    for _ in range(T):
        log_p, _ = step(Z, word)
        word = log_p.argmax().item()
        words.append(word)
        if word == END:
            break
    return words


# %% greedy: went on after the end symbol
def greedy(step, Z, T):
    words, word = [], START
    for _ in range(T):
        log_p, Z = step(Z, word)
        word = log_p.argmax().item()
        words.append(word)
    return words


# %% greedy: left the end symbol out
def greedy(step, Z, T):
    words, word = [], START
    for _ in range(T):
        log_p, Z = step(Z, word)
        word = log_p.argmax().item()
        if word == END:
            break
        words.append(word)
    return words


# %% greedy: put the start symbol before the words
def greedy(step, Z, T):
    words = [START]
    while len(words) <= T and words[-1] != END:
        log_p, Z = step(Z, words[-1])
        words.append(int(log_p.argmax()))
    return words


# %% greedy: took the last of several words that tie
def greedy(step, Z, T):
    words, word = [], START
    for _ in range(T):
        log_p, Z = step(Z, word)
        word = (log_p == log_p.max()).nonzero()[-1].item()
        words.append(word)
        if word == END:
            break
    return words


# %% greedy: stopped one word before T
def greedy(step, Z, T):
    words = [START]
    while len(words) < T and words[-1] != END:
        log_p, Z = step(Z, words[-1])
        words.append(int(log_p.argmax()))
    return words[1:]


# %% greedy: took the least probable word
def greedy(step, Z, T):
    words, word = [], START
    for _ in range(T):
        log_p, Z = step(Z, word)
        word = (-log_p).argmax().item()
        words.append(word)
        if word == END:
            break
    return words


# %% beam_search: did not divide by the length
def beam_search(step, Z, T, B, alpha):
    live, ended = [(0.0, [], Z)], []
    for _ in range(T):
        told = [step(state, (words or [START])[-1]) for _, words, state in live]
        found = []
        for h, (total, words, _) in enumerate(live):
            log_p, state = told[h]
            for word, value in enumerate(log_p.tolist()):
                found.append((total + value, [*words, word], state))
        found.sort(key=lambda f: f[0], reverse=True)
        live = []
        for hypothesis in found[: B - len(ended)]:
            if hypothesis[1][-1] == END:
                ended.append(hypothesis)
            else:
                live.append(hypothesis)
        if not live:
            break
    ranked = [(total, words) for total, words, _ in ended + live]
    ranked.sort(key=lambda f: f[0], reverse=True)
    return [words for _, words in ranked], [score for score, _ in ranked]


# %% beam_search: did not count the end symbol in the length
def beam_search(step, Z, T, B, alpha):
    live, ended = [(0.0, [], Z)], []
    for _ in range(T):
        told = [step(state, (words or [START])[-1]) for _, words, state in live]
        found = []
        for h, (total, words, _) in enumerate(live):
            log_p, state = told[h]
            for word, value in enumerate(log_p.tolist()):
                found.append((total + value, [*words, word], state))
        found.sort(key=lambda f: f[0], reverse=True)
        live = []
        for hypothesis in found[: B - len(ended)]:
            if hypothesis[1][-1] == END:
                ended.append(hypothesis)
            else:
                live.append(hypothesis)
        if not live:
            break
    ranked = [(total / max(1, len([w for w in words if w != END])) ** alpha, words) for total, words, _ in ended + live]
    ranked.sort(key=lambda f: f[0], reverse=True)
    return [words for _, words in ranked], [score for score, _ in ranked]


# %% beam_search: divided the scores by the length, but ranked by the sums
def beam_search(step, Z, T, B, alpha):
    live, ended = [(0.0, [], Z)], []
    for _ in range(T):
        told = [step(state, (words or [START])[-1]) for _, words, state in live]
        found = []
        for h, (total, words, _) in enumerate(live):
            log_p, state = told[h]
            for word, value in enumerate(log_p.tolist()):
                found.append((total + value, [*words, word], state))
        found.sort(key=lambda f: f[0], reverse=True)
        live = []
        for hypothesis in found[: B - len(ended)]:
            if hypothesis[1][-1] == END:
                ended.append(hypothesis)
            else:
                live.append(hypothesis)
        if not live:
            break
    ranked = sorted(ended + live, key=lambda f: f[0], reverse=True)
    return [f[1] for f in ranked], [f[0] / len(f[1]) ** alpha for f in ranked]


# %% beam_search: went on from the state at the same place, not from that of the hypothesis it came from
def beam_search(step, Z, T, B, alpha):
    live, ended = [(0.0, [], Z)], []
    for _ in range(T):
        told = [step(state, (words or [START])[-1]) for _, words, state in live]
        found = []
        for h, (total, words, _) in enumerate(live):
            log_p, state = told[h]
            for word, value in enumerate(log_p.tolist()):
                found.append((total + value, [*words, word], state))
        found.sort(key=lambda f: f[0], reverse=True)
        live = []
        for hypothesis in found[: B - len(ended)]:
            if hypothesis[1][-1] == END:
                ended.append(hypothesis)
            else:
                place = min(len(live), len(told) - 1)
                live.append((*hypothesis[:2], told[place][1]))
        if not live:
            break
    ranked = [(total / len(words) ** alpha, words) for total, words, _ in ended + live]
    ranked.sort(key=lambda f: f[0], reverse=True)
    return [words for _, words in ranked], [score for score, _ in ranked]


# %% beam_search: did not pass the state on
def beam_search(step, Z, T, B, alpha):
    live, ended = [(0.0, [], Z)], []
    for _ in range(T):
        told = [step(Z, (words or [START])[-1]) for _, words, _ in live]
        found = []
        for h, (total, words, _) in enumerate(live):
            log_p, state = told[h]
            for word, value in enumerate(log_p.tolist()):
                found.append((total + value, [*words, word], state))
        found.sort(key=lambda f: f[0], reverse=True)
        live = []
        for hypothesis in found[: B - len(ended)]:
            if hypothesis[1][-1] == END:
                ended.append(hypothesis)
            else:
                live.append(hypothesis)
        if not live:
            break
    ranked = [(total / len(words) ** alpha, words) for total, words, _ in ended + live]
    ranked.sort(key=lambda f: f[0], reverse=True)
    return [words for _, words in ranked], [score for score, _ in ranked]


# %% beam_search: went on after the end symbol
def beam_search(step, Z, T, B, alpha):
    live, ended = [(0.0, [], Z)], []
    for _ in range(T):
        told = [step(state, (words or [START])[-1]) for _, words, state in live]
        found = []
        for h, (total, words, _) in enumerate(live):
            log_p, state = told[h]
            for word, value in enumerate(log_p.tolist()):
                found.append((total + value, [*words, word], state))
        found.sort(key=lambda f: f[0], reverse=True)
        live = found[:B]
    ranked = [(total / len(words) ** alpha, words) for total, words, _ in ended + live]
    ranked.sort(key=lambda f: f[0], reverse=True)
    return [words for _, words in ranked], [score for score, _ in ranked]


# %% beam_search: left out the hypotheses that T cuts off
def beam_search(step, Z, T, B, alpha):
    live, ended = [(0.0, [], Z)], []
    for _ in range(T):
        told = [step(state, (words or [START])[-1]) for _, words, state in live]
        found = []
        for h, (total, words, _) in enumerate(live):
            log_p, state = told[h]
            for word, value in enumerate(log_p.tolist()):
                found.append((total + value, [*words, word], state))
        found.sort(key=lambda f: f[0], reverse=True)
        live = []
        for hypothesis in found[: B - len(ended)]:
            if hypothesis[1][-1] == END:
                ended.append(hypothesis)
            else:
                live.append(hypothesis)
        if not live:
            break
    ranked = [(total / len(words) ** alpha, words) for total, words, _ in ended or live]
    ranked.sort(key=lambda f: f[0], reverse=True)
    return [words for _, words in ranked], [score for score, _ in ranked]


# %% beam_search: went on with B live hypotheses after some had ended
def beam_search(step, Z, T, B, alpha):
    live, ended = [(0.0, [], Z)], []
    for _ in range(T):
        told = [step(state, (words or [START])[-1]) for _, words, state in live]
        found = []
        for h, (total, words, _) in enumerate(live):
            log_p, state = told[h]
            for word, value in enumerate(log_p.tolist()):
                found.append((total + value, [*words, word], state))
        found.sort(key=lambda f: f[0], reverse=True)
        live = []
        for hypothesis in found[:B]:
            if hypothesis[1][-1] == END:
                ended.append(hypothesis)
            else:
                live.append(hypothesis)
        if not live or len(ended) >= B:
            break
    ranked = [(total / len(words) ** alpha, words) for total, words, _ in ended + live]
    ranked.sort(key=lambda f: f[0], reverse=True)
    return [words for _, words in ranked[:B]], [score for score, _ in ranked[:B]]


# %% beam_search: took only the best word of each hypothesis
def beam_search(step, Z, T, B, alpha):
    live, ended = [(0.0, [], Z)], []
    for _ in range(T):
        told = [step(state, (words or [START])[-1]) for _, words, state in live]
        found = []
        for h, (total, words, _) in enumerate(live):
            log_p, state = told[h]
            for word, value in enumerate(log_p.tolist()):
                found.append((total + value, [*words, word], state))
        if len(live) > 1:
            V = len(log_p)
            found = [max(found[h * V : h * V + V], key=lambda f: f[0]) for h in range(len(live))]
        found.sort(key=lambda f: f[0], reverse=True)
        live = []
        for hypothesis in found[: B - len(ended)]:
            if hypothesis[1][-1] == END:
                ended.append(hypothesis)
            else:
                live.append(hypothesis)
        if not live:
            break
    ranked = [(total / len(words) ** alpha, words) for total, words, _ in ended + live]
    ranked.sort(key=lambda f: f[0], reverse=True)
    return [words for _, words in ranked], [score for score, _ in ranked]


# %% beam_search: returned the worst first
def beam_search(step, Z, T, B, alpha):
    live, ended = [(0.0, [], Z)], []
    for _ in range(T):
        told = [step(state, (words or [START])[-1]) for _, words, state in live]
        found = []
        for h, (total, words, _) in enumerate(live):
            log_p, state = told[h]
            for word, value in enumerate(log_p.tolist()):
                found.append((total + value, [*words, word], state))
        found.sort(key=lambda f: f[0], reverse=True)
        live = []
        for hypothesis in found[: B - len(ended)]:
            if hypothesis[1][-1] == END:
                ended.append(hypothesis)
            else:
                live.append(hypothesis)
        if not live:
            break
    ranked = [(total / len(words) ** alpha, words) for total, words, _ in ended + live]
    ranked.sort(key=lambda f: f[0], reverse=True)
    ranked = ranked[::-1]
    return [words for _, words in ranked], [score for score, _ in ranked]


# %% beam_search: broke ties by the higher index
def beam_search(step, Z, T, B, alpha):
    live, ended = [(0.0, [], Z)], []
    for _ in range(T):
        told = [step(state, (words or [START])[-1]) for _, words, state in live]
        found = []
        for h, (total, words, _) in enumerate(live):
            log_p, state = told[h]
            for word, value in enumerate(log_p.tolist()):
                found.append((total + value, [*words, word], state))
        found.reverse()
        found.sort(key=lambda f: f[0], reverse=True)
        live = []
        for hypothesis in found[: B - len(ended)]:
            if hypothesis[1][-1] == END:
                ended.append(hypothesis)
            else:
                live.append(hypothesis)
        if not live:
            break
    ranked = [(total / len(words) ** alpha, words) for total, words, _ in ended + live]
    ranked.sort(key=lambda f: f[0], reverse=True)
    return [words for _, words in ranked], [score for score, _ in ranked]


# %% bleu: did not clip the counts
def bleu(hypotheses, references):
    from collections import Counter

    matches, totals, k = 4 * [0], 4 * [0], 0
    for hypothesis, told in zip(hypotheses, references):
        for n in range(1, 5):
            count = lambda words, n=n: Counter(tuple(words[i : i + n]) for i in range(len(words) + 1 - n))
            found, others = count(hypothesis), [count(reference) for reference in told]
            totals[n - 1] += sum(found.values())
            for gram, times in found.items():
                matches[n - 1] += times if any(gram in other for other in others) else 0
    p = []
    for match, total in zip(matches, totals):
        if match == 0:
            k += 1
            match = 0.5**k
        p.append(match / total)
    c, r = sum(len(h) for h in hypotheses), 0
    for h, told in zip(hypotheses, references):
        r += sorted((abs(len(t) - len(h)), len(t)) for t in told)[0][1]
    penalty = 1.0 if c >= r else math.exp(1 - r / c)
    return p, penalty, penalty * math.exp(sum(math.log(x) for x in p) / 4)


# %% bleu: clipped by the sum over the references, not by the largest
def bleu(hypotheses, references):
    from collections import Counter

    matches, totals, k = 4 * [0], 4 * [0], 0
    for hypothesis, told in zip(hypotheses, references):
        for n in range(1, 5):
            count = lambda words, n=n: Counter(tuple(words[i : i + n]) for i in range(len(words) + 1 - n))
            found, others = count(hypothesis), [count(reference) for reference in told]
            totals[n - 1] += sum(found.values())
            for gram, times in found.items():
                matches[n - 1] += min(times, sum(other[gram] for other in others))
    p = []
    for match, total in zip(matches, totals):
        if match == 0:
            k += 1
            match = 0.5**k
        p.append(match / total)
    c, r = sum(len(h) for h in hypotheses), 0
    for h, told in zip(hypotheses, references):
        r += sorted((abs(len(t) - len(h)), len(t)) for t in told)[0][1]
    penalty = 1.0 if c >= r else math.exp(1 - r / c)
    return p, penalty, penalty * math.exp(sum(math.log(x) for x in p) / 4)


# %% bleu: looked at the first reference only
def bleu(hypotheses, references):
    from collections import Counter

    matches, totals, k = 4 * [0], 4 * [0], 0
    references = [told[:1] for told in references]
    for hypothesis, told in zip(hypotheses, references):
        for n in range(1, 5):
            count = lambda words, n=n: Counter(tuple(words[i : i + n]) for i in range(len(words) + 1 - n))
            found, others = count(hypothesis), [count(reference) for reference in told]
            totals[n - 1] += sum(found.values())
            for gram, times in found.items():
                matches[n - 1] += min(times, max(other[gram] for other in others))
    p = []
    for match, total in zip(matches, totals):
        if match == 0:
            k += 1
            match = 0.5**k
        p.append(match / total)
    c, r = sum(len(h) for h in hypotheses), 0
    for h, told in zip(hypotheses, references):
        r += sorted((abs(len(t) - len(h)), len(t)) for t in told)[0][1]
    penalty = 1.0 if c >= r else math.exp(1 - r / c)
    return p, penalty, penalty * math.exp(sum(math.log(x) for x in p) / 4)


# %% bleu: left out the brevity penalty
def bleu(hypotheses, references):
    from collections import Counter

    matches, totals, k = 4 * [0], 4 * [0], 0
    for hypothesis, told in zip(hypotheses, references):
        for n in range(1, 5):
            count = lambda words, n=n: Counter(tuple(words[i : i + n]) for i in range(len(words) + 1 - n))
            found, others = count(hypothesis), [count(reference) for reference in told]
            totals[n - 1] += sum(found.values())
            for gram, times in found.items():
                matches[n - 1] += min(times, max(other[gram] for other in others))
    p = []
    for match, total in zip(matches, totals):
        if match == 0:
            k += 1
            match = 0.5**k
        p.append(match / total)
    penalty = 1.0
    return p, penalty, penalty * math.exp(sum(math.log(x) for x in p) / 4)


# %% bleu: took the shortest reference's length, not the nearest
def bleu(hypotheses, references):
    from collections import Counter

    matches, totals, k = 4 * [0], 4 * [0], 0
    for hypothesis, told in zip(hypotheses, references):
        for n in range(1, 5):
            count = lambda words, n=n: Counter(tuple(words[i : i + n]) for i in range(len(words) + 1 - n))
            found, others = count(hypothesis), [count(reference) for reference in told]
            totals[n - 1] += sum(found.values())
            for gram, times in found.items():
                matches[n - 1] += min(times, max(other[gram] for other in others))
    p = []
    for match, total in zip(matches, totals):
        if match == 0:
            k += 1
            match = 0.5**k
        p.append(match / total)
    c, r = sum(len(h) for h in hypotheses), 0
    for told in references:
        r += min(len(t) for t in told)
    penalty = 1.0 if c >= r else math.exp(1 - r / c)
    return p, penalty, penalty * math.exp(sum(math.log(x) for x in p) / 4)


# %% bleu: took the arithmetic mean of the precisions
def bleu(hypotheses, references):
    from collections import Counter

    matches, totals, k = 4 * [0], 4 * [0], 0
    for hypothesis, told in zip(hypotheses, references):
        for n in range(1, 5):
            count = lambda words, n=n: Counter(tuple(words[i : i + n]) for i in range(len(words) + 1 - n))
            found, others = count(hypothesis), [count(reference) for reference in told]
            totals[n - 1] += sum(found.values())
            for gram, times in found.items():
                matches[n - 1] += min(times, max(other[gram] for other in others))
    p = []
    for match, total in zip(matches, totals):
        if match == 0:
            k += 1
            match = 0.5**k
        p.append(match / total)
    c, r = sum(len(h) for h in hypotheses), 0
    for h, told in zip(hypotheses, references):
        r += sorted((abs(len(t) - len(h)), len(t)) for t in told)[0][1]
    penalty = 1.0 if c >= r else math.exp(1 - r / c)
    return p, penalty, penalty * sum(p) / 4


# %% bleu: averaged over the sentences: BLEU is one figure of the corpus
of_one_corpus = bleu


def bleu(hypotheses, references):
    found = [of_one_corpus([h], [told]) for h, told in zip(hypotheses, references)]
    p = np.mean([f[0] for f in found], axis=0)
    return p, np.mean([f[1] for f in found]), np.mean([f[2] for f in found])


# %% bleu: left out the smoothing
def bleu(hypotheses, references):
    from collections import Counter

    matches, totals = 4 * [0], 4 * [0]
    for hypothesis, told in zip(hypotheses, references):
        for n in range(1, 5):
            count = lambda words, n=n: Counter(tuple(words[i : i + n]) for i in range(len(words) + 1 - n))
            found, others = count(hypothesis), [count(reference) for reference in told]
            totals[n - 1] += sum(found.values())
            for gram, times in found.items():
                matches[n - 1] += min(times, max(other[gram] for other in others))
    p = []
    for match, total in zip(matches, totals):
        p.append(match / total)
    c, r = sum(len(h) for h in hypotheses), 0
    for h, told in zip(hypotheses, references):
        r += sorted((abs(len(t) - len(h)), len(t)) for t in told)[0][1]
    penalty = 1.0 if c >= r else math.exp(1 - r / c)
    return p, penalty, penalty * math.prod(p) ** 0.25


# %% bleu: multiplied by 100
def bleu(hypotheses, references):
    from collections import Counter

    matches, totals, k = 4 * [0], 4 * [0], 0
    for hypothesis, told in zip(hypotheses, references):
        for n in range(1, 5):
            count = lambda words, n=n: Counter(tuple(words[i : i + n]) for i in range(len(words) + 1 - n))
            found, others = count(hypothesis), [count(reference) for reference in told]
            totals[n - 1] += sum(found.values())
            for gram, times in found.items():
                matches[n - 1] += min(times, max(other[gram] for other in others))
    p = []
    for match, total in zip(matches, totals):
        if match == 0:
            k += 1
            match = 0.5**k
        p.append(match / total)
    c, r = sum(len(h) for h in hypotheses), 0
    for h, told in zip(hypotheses, references):
        r += sorted((abs(len(t) - len(h)), len(t)) for t in told)[0][1]
    penalty = 1.0 if c >= r else math.exp(1 - r / c)
    return p, penalty, 100 * penalty * math.exp(sum(math.log(x) for x in p) / 4)


# %% self_attention_backward: forgot the mask
def self_attention_backward(G, X, W_Q, W_K, W_V):
    Q, K, V = X @ W_Q.T, X @ W_K.T, X @ W_V.T
    c = Q.shape[2] ** -0.5
    S = c * Q @ K.transpose(1, 2)
    A = S.softmax(2)
    G_A = G @ V.transpose(1, 2)
    G_S = c * A * (G_A - (A * G_A).sum(2, keepdim=True))
    G_Q, G_K, G_V = G_S @ K, G_S.transpose(1, 2) @ Q, A.transpose(1, 2) @ G
    weights = [(G_Y.transpose(1, 2) @ X).sum(0) for G_Y in (G_Q, G_K, G_V)]
    return G_Q @ W_Q + G_K @ W_K + G_V @ W_V, *weights


# %% self_attention_backward: put the mask on the words before, not after
def self_attention_backward(G, X, W_Q, W_K, W_V):
    Q, K, V = X @ W_Q.T, X @ W_K.T, X @ W_V.T
    c = Q.shape[2] ** -0.5
    S = c * Q @ K.transpose(1, 2)
    mask = torch.triu(torch.ones(X.shape[1], X.shape[1])) == 1
    A = torch.where(mask, S, -torch.inf).softmax(2)
    G_A = G @ V.transpose(1, 2)
    G_S = c * A * (G_A - (A * G_A).sum(2, keepdim=True))
    G_Q, G_K, G_V = G_S @ K, G_S.transpose(1, 2) @ Q, A.transpose(1, 2) @ G
    weights = [(G_Y.transpose(1, 2) @ X).sum(0) for G_Y in (G_Q, G_K, G_V)]
    return G_Q @ W_Q + G_K @ W_K + G_V @ W_V, *weights


# %% self_attention_backward: masked after the softmax, so that the weights do not sum to 1
def self_attention_backward(G, X, W_Q, W_K, W_V):
    Q, K, V = X @ W_Q.T, X @ W_K.T, X @ W_V.T
    c = Q.shape[2] ** -0.5
    S = c * Q @ K.transpose(1, 2)
    mask = torch.tril(torch.ones(X.shape[1], X.shape[1])) == 1
    A = S.softmax(2)
    G_A = mask * (G @ V.transpose(1, 2))
    G_S = c * A * (G_A - (A * G_A).sum(2, keepdim=True))
    G_Q, G_K, G_V = G_S @ K, G_S.transpose(1, 2) @ Q, (mask * A).transpose(1, 2) @ G
    weights = [(G_Y.transpose(1, 2) @ X).sum(0) for G_Y in (G_Q, G_K, G_V)]
    return G_Q @ W_Q + G_K @ W_K + G_V @ W_V, *weights


# %% self_attention_backward: masked the scores with 0 instead of -∞
def self_attention_backward(G, X, W_Q, W_K, W_V):
    Q, K, V = X @ W_Q.T, X @ W_K.T, X @ W_V.T
    c = Q.shape[2] ** -0.5
    S = c * Q @ K.transpose(1, 2)
    mask = torch.tril(torch.ones(X.shape[1], X.shape[1])) == 1
    A = (mask * S).softmax(2)
    G_A = G @ V.transpose(1, 2)
    G_S = mask * c * A * (G_A - (A * G_A).sum(2, keepdim=True))
    G_Q, G_K, G_V = G_S @ K, G_S.transpose(1, 2) @ Q, A.transpose(1, 2) @ G
    weights = [(G_Y.transpose(1, 2) @ X).sum(0) for G_Y in (G_Q, G_K, G_V)]
    return G_Q @ W_Q + G_K @ W_K + G_V @ W_V, *weights


# %% self_attention_backward: took the softmax over the queries, the wrong axis
def self_attention_backward(G, X, W_Q, W_K, W_V):
    Q, K, V = X @ W_Q.T, X @ W_K.T, X @ W_V.T
    c = Q.shape[2] ** -0.5
    S = c * Q @ K.transpose(1, 2)
    mask = torch.tril(torch.ones(X.shape[1], X.shape[1])) == 1
    A = torch.where(mask, S, -torch.inf).softmax(1)
    G_A = G @ V.transpose(1, 2)
    G_S = c * A * (G_A - (A * G_A).sum(1, keepdim=True))
    G_Q, G_K, G_V = G_S @ K, G_S.transpose(1, 2) @ Q, A.transpose(1, 2) @ G
    weights = [(G_Y.transpose(1, 2) @ X).sum(0) for G_Y in (G_Q, G_K, G_V)]
    return G_Q @ W_Q + G_K @ W_K + G_V @ W_V, *weights


# %% self_attention_backward: forgot the scale 1 / √d
def self_attention_backward(G, X, W_Q, W_K, W_V):
    Q, K, V = X @ W_Q.T, X @ W_K.T, X @ W_V.T
    S = Q @ K.transpose(1, 2)
    mask = torch.tril(torch.ones(X.shape[1], X.shape[1])) == 1
    A = torch.where(mask, S, -torch.inf).softmax(2)
    G_A = G @ V.transpose(1, 2)
    G_S = A * (G_A - (A * G_A).sum(2, keepdim=True))
    G_Q, G_K, G_V = G_S @ K, G_S.transpose(1, 2) @ Q, A.transpose(1, 2) @ G
    weights = [(G_Y.transpose(1, 2) @ X).sum(0) for G_Y in (G_Q, G_K, G_V)]
    return G_Q @ W_Q + G_K @ W_K + G_V @ W_V, *weights


# %% self_attention_backward: left the keys' part out of G_X
def self_attention_backward(G, X, W_Q, W_K, W_V):
    Q, K, V = X @ W_Q.T, X @ W_K.T, X @ W_V.T
    c = Q.shape[2] ** -0.5
    S = c * Q @ K.transpose(1, 2)
    mask = torch.tril(torch.ones(X.shape[1], X.shape[1])) == 1
    A = torch.where(mask, S, -torch.inf).softmax(2)
    G_A = G @ V.transpose(1, 2)
    G_S = c * A * (G_A - (A * G_A).sum(2, keepdim=True))
    G_Q, G_K, G_V = G_S @ K, G_S.transpose(1, 2) @ Q, A.transpose(1, 2) @ G
    weights = [(G_Y.transpose(1, 2) @ X).sum(0) for G_Y in (G_Q, G_K, G_V)]
    return G_Q @ W_Q + G_V @ W_V, *weights


# %% self_attention_backward: left the values' part out of G_X
def self_attention_backward(G, X, W_Q, W_K, W_V):
    Q, K, V = X @ W_Q.T, X @ W_K.T, X @ W_V.T
    c = Q.shape[2] ** -0.5
    S = c * Q @ K.transpose(1, 2)
    mask = torch.tril(torch.ones(X.shape[1], X.shape[1])) == 1
    A = torch.where(mask, S, -torch.inf).softmax(2)
    G_A = G @ V.transpose(1, 2)
    G_S = c * A * (G_A - (A * G_A).sum(2, keepdim=True))
    G_Q, G_K, G_V = G_S @ K, G_S.transpose(1, 2) @ Q, A.transpose(1, 2) @ G
    weights = [(G_Y.transpose(1, 2) @ X).sum(0) for G_Y in (G_Q, G_K, G_V)]
    return G_Q @ W_Q + G_K @ W_K, *weights
