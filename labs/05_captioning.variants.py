"""Right answers of the lab `captioning` in the many ways that people write them: each must earn all points.

A cell's title is `question: how it is written`; it runs after all solutions of the lab, in their namespace.
"""
# ruff: noqa: F811, F821


# %% masked_cross_entropy: one-hot rows
def masked_cross_entropy(Z, y):
    real = (y != PAD).double()
    Y = F.one_hot(y, Z.shape[2])
    log_p = Z - Z.logsumexp(2, keepdim=True)
    count = real.sum()
    loss = -((Y * log_p).sum(2) * real).sum() / count
    G = real[:, :, None] * (log_p.exp() - Y) / count
    return loss, G


# %% masked_cross_entropy: the library's loss, ignoring padding
def masked_cross_entropy(Z, y):
    loss = F.cross_entropy(Z.transpose(1, 2), y, ignore_index=PAD)
    G = Z.softmax(-1)
    G[torch.arange(len(y))[:, None], torch.arange(y.shape[1]), y] -= 1
    G[y == PAD] = 0
    return loss, G / (y != PAD).sum()


# %% masked_cross_entropy: only the real places
def masked_cross_entropy(Z, y):
    at = (y != PAD).nonzero(as_tuple=True)
    log_p = Z[at].log_softmax(1)
    rows = torch.arange(len(log_p))
    loss = -log_p[rows, y[at]].mean()
    D = log_p.exp()
    D[rows, y[at]] -= 1
    G = torch.zeros_like(Z)
    G[at] = D / len(rows)
    return loss, G


# %% masked_cross_entropy: numpy
def masked_cross_entropy(Z, y):
    Z, y = Z.numpy(), y.numpy()
    real = y != PAD
    e = np.exp(Z - Z.max(axis=2, keepdims=True))
    p = e / e.sum(axis=2, keepdims=True)
    Y = np.eye(Z.shape[2])[y]
    shifted = Z - Z.max(axis=2, keepdims=True)
    nll = np.log(e.sum(axis=2)) - (Y * shifted).sum(axis=2)
    return (nll * real).sum() / real.sum(), (p - Y) * real[..., None] / real.sum()


# %% masked_cross_entropy: loops over sentences and steps
def masked_cross_entropy(Z, y):
    count = int((y > 0).sum())
    loss, G = 0.0, torch.zeros(Z.shape)
    for n in range(len(y)):
        for t in range(y.shape[1]):
            if y[n, t] == PAD:
                break
            z = Z[n, t] - Z[n, t].max()
            p = z.exp() / z.exp().sum()
            loss = loss + (z.exp().sum().log() - z[y[n, t]]) / count
            G[n, t] = p / count
            G[n, t, y[n, t]] -= 1 / count
    return float(loss), G


# %% masked_cross_entropy: float32, a dict
def masked_cross_entropy(Z, y):
    Z, real = Z.float(), (y != PAD).float()
    Z = Z - Z.amax(2, keepdim=True)
    p = Z.softmax(2)
    share = real / real.sum()
    nll = Z.logsumexp(2) - Z.gather(2, y.unsqueeze(2)).squeeze(2)
    G = (p - F.one_hot(y, Z.shape[2]).float()) * share.unsqueeze(2)
    return {"G_Z": G, "loss": (nll * share).sum()}


# %% image_first_step: b_v by name
def image_first_step(G, X, E, W_iv, W_xz, b):
    b_v = X @ W_iv.T
    Z = (E @ W_xz.T + b + b_v).tanh()
    D = G * (1 - Z * Z)
    return Z, D @ W_iv, D @ W_xz, D.T @ X, D.T @ E, D.sum(0)


# %% image_first_step: one layer with two inputs side by side
def image_first_step(G, X, E, W_iv, W_xz, b):
    d, W, both = X.shape[1], torch.cat([W_iv, W_xz], dim=1), torch.cat([X, E], dim=1)
    Z = torch.tanh(F.linear(both, W, b))
    D = (1 - Z.square()) * G
    G_both, G_W = D @ W, D.T @ both
    return Z, G_both[:, :d], G_both[:, d:], G_W[:, :d], G_W[:, d:], D.sum(0)


# %% image_first_step: loop over the batch
def image_first_step(G, X, E, W_iv, W_xz, b):
    Z, G_X, G_E = torch.zeros_like(G), torch.zeros_like(X), torch.zeros_like(E)
    G_W_iv, G_W_xz, G_b = torch.zeros_like(W_iv), torch.zeros_like(W_xz), torch.zeros_like(b)
    for i, (g, x, e) in enumerate(zip(G, X, E)):
        Z[i] = torch.tanh(W_xz @ e + b + W_iv @ x)
        d = g * (1 - Z[i] ** 2)
        G_X[i], G_E[i] = W_iv.T @ d, W_xz.T @ d
        G_W_iv += torch.outer(d, x)
        G_W_xz += torch.outer(d, e)
        G_b += d
    return Z, G_X, G_E, G_W_iv, G_W_xz, G_b


# %% image_first_step: numpy
def image_first_step(G, X, E, W_iv, W_xz, b):
    G, X, E, W_iv, W_xz, b = (np.asarray(a) for a in (G, X, E, W_iv, W_xz, b))
    Z = np.tanh(E @ W_xz.T + X @ W_iv.T + b)
    D = G / np.cosh(np.arctanh(Z)) ** 2
    return Z, D.dot(W_iv), D.dot(W_xz), D.T.dot(X), D.T.dot(E), D.sum(axis=0)


# %% image_first_step: einsum, a dict
def image_first_step(G, X, E, W_iv, W_xz, b):
    Z = torch.tanh(torch.einsum("nm,km->nk", E, W_xz) + torch.einsum("nd,kd->nk", X, W_iv) + b)
    D = G - G * Z * Z
    return {
        "Z": Z,
        "G_b": torch.einsum("nk->k", D),
        "G_X": torch.einsum("nk,kd->nd", D, W_iv),
        "G_E": torch.einsum("nk,km->nm", D, W_xz),
        "G_W_iv": torch.einsum("nk,nd->kd", D, X),
        "G_W_xz": torch.einsum("nk,nm->km", D, E),
    }


# %% image_first_step: float32
def image_first_step(G, X, E, W_iv, W_xz, b):
    G, X, E, W_iv, W_xz, b = (a.float() for a in (G, X, E, W_iv, W_xz, b))
    Z = torch.tanh(E.mm(W_xz.t()).add(X.mm(W_iv.t())).add(b))
    D = G * (1 - Z.pow(2))
    return [Z, D.mm(W_iv), D.mm(W_xz), D.t().mm(X), D.t().mm(E), D.sum(0)]


# %% multimodal_rnn_backward: step by step
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
    return loss, grads


# %% multimodal_rnn_backward: image_first_step for the first step
def multimodal_rnn_backward(X, y, P):
    words = F.pad(y, (1, 0), value=START)[:, :-1]
    E = F.embedding(words, P["embed.weight"])
    first = (X, E[:, 0], P["W_iv.weight"], P["W_xz.weight"], P["W_xz.bias"])
    Z = image_first_step(torch.zeros(len(X), len(P["W_xz.bias"])), *first)[0]
    A = E[:, 1:] @ P["W_xz.weight"].T + P["W_xz.bias"]
    states = torch.cat([Z[:, None], unroll(A, Z, P["W_zz.weight"])], 1) if A.shape[1] else Z[:, None]
    loss, G = masked_cross_entropy(states @ P["W_zy.weight"].T + P["W_zy.bias"], y)
    G_states = G @ P["W_zy.weight"]
    D, into = through_time(G_states[:, 1:], states[:, 1:], P["W_zz.weight"]) if A.shape[1] else (A, 0)
    _, _, G_E, G_W_iv, G_W_xz, G_b = image_first_step(G_states[:, 0] + into, *first)
    G_E = torch.cat([G_E[:, None], D @ P["W_xz.weight"]], 1)
    one_hot = F.one_hot(words, len(P["embed.weight"])).double()
    grads = {
        "embed.weight": torch.einsum("ntv,ntm->vm", one_hot, G_E),
        "W_iv.weight": G_W_iv,
        "W_xz.weight": G_W_xz + torch.einsum("ntk,ntm->km", D, E[:, 1:]),
        "W_xz.bias": G_b + D.sum((0, 1)),
        "W_zz.weight": torch.einsum("ntk,ntj->kj", D, states[:, :-1]),
        "W_zy.weight": torch.einsum("ntv,ntk->vk", G, states),
        "W_zy.bias": G.sum((0, 1)),
    }
    return loss, grads


# %% multimodal_rnn_backward: float32
in_float64 = multimodal_rnn_backward


def multimodal_rnn_backward(X, y, P):
    return in_float64(X.float(), y, {name: w.float() for name, w in P.items()})


# %% multimodal_rnn_backward: numpy
def multimodal_rnn_backward(X, y, P):
    X, y, P = X.numpy(), y.numpy(), {name: w.numpy() for name, w in P.items()}
    (N, T), W_zz = y.shape, P["W_zz.weight"]
    words = np.concatenate([np.full((N, 1), START), y[:, :-1]], axis=1)
    E = P["embed.weight"][words]
    states = np.zeros((T + 1, N, len(W_zz)))
    for t in range(T):
        a = E[:, t] @ P["W_xz.weight"].T + P["W_xz.bias"] + states[t] @ W_zz.T
        states[t + 1] = np.tanh(a + X @ P["W_iv.weight"].T if t == 0 else a)
    S = states[1:].transpose(1, 0, 2)
    Z = S @ P["W_zy.weight"].T + P["W_zy.bias"]
    p = np.exp(Z) / np.exp(Z).sum(2, keepdims=True)
    Y, real = np.eye(Z.shape[2])[y], (y != PAD)[:, :, None]
    loss = -(np.log(p) * Y * real).sum() / real.sum()
    G = (p - Y) * real / real.sum()
    g = {name: np.zeros_like(w) for name, w in P.items()}
    g["W_zy.weight"], g["W_zy.bias"] = np.einsum("ntv,ntk->vk", G, S), G.sum((0, 1))
    back = np.zeros_like(states[0])
    for t in range(T - 1, -1, -1):
        D = (G[:, t] @ P["W_zy.weight"] + back) * (1 - states[t + 1] ** 2)
        g["W_xz.weight"] += D.T @ E[:, t]
        g["W_xz.bias"] += D.sum(0)
        g["W_zz.weight"] += D.T @ states[t]
        np.add.at(g["embed.weight"], words[:, t], D @ P["W_xz.weight"])
        back = D @ W_zz
    g["W_iv.weight"] = D.T @ X
    return loss, g


# %% multimodal_rnn_backward: the word's part looked up in a table of all words
def multimodal_rnn_backward(X, y, P):
    words = torch.full_like(y, START)
    words[:, 1:] = y[:, :-1]
    told = P["embed.weight"] @ P["W_xz.weight"].T + P["W_xz.bias"]  # (V, n)
    states, Z = [], 0
    for t in range(y.shape[1]):
        Z = torch.tanh(told[words[:, t]] + (X @ P["W_iv.weight"].T if t == 0 else Z @ P["W_zz.weight"].T))
        states.append(Z)
    states = torch.stack(states, 1)
    loss, G = masked_cross_entropy(F.linear(states, P["W_zy.weight"], P["W_zy.bias"]), y)
    D, _ = through_time(G @ P["W_zy.weight"], states, P["W_zz.weight"])
    G_told = torch.zeros_like(told)
    for rows, d in zip(words, D):
        for word, row in zip(rows, d):
            G_told[word] += row
    grads = {
        "W_zy.bias": G.sum((0, 1)),
        "W_zy.weight": G.flatten(0, 1).T @ states.flatten(0, 1),
        "W_zz.weight": D[:, 1:].flatten(0, 1).T @ states[:, :-1].flatten(0, 1),
        "W_xz.bias": G_told.sum(0),
        "W_xz.weight": G_told.T @ P["embed.weight"],
        "W_iv.weight": D[:, 0].T @ X,
        "embed.weight": G_told @ P["W_xz.weight"],
    }
    return loss, grads


# %% encoder_decoder_backward: step by step
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
    for s in reversed(range(S)):
        D = later * (1 - us[s + 1] ** 2)
        later = add("encoder", D, X[:, s], us[s])
    return loss, grads


# %% encoder_decoder_backward: float32
in_float64 = encoder_decoder_backward


def encoder_decoder_backward(X, y, P):
    return in_float64(X, y, {name: w.float() for name, w in P.items()})


# %% encoder_decoder_backward: one long recurrence
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

    later = torch.zeros_like(zs[0])
    for t in reversed(range(T)):
        D = (G[:, t] @ V + later) * (1 - zs[t + 1] ** 2)
        grads["W_zy.weight"] += G[:, t].T @ zs[t + 1]
        grads["W_zy.bias"] += G[:, t].sum(0)
        later = add("decoder", D, words[:, t], zs[t])
    for s in range(S - 1, -1, -1):
        later = add("encoder", (1 - us[s + 1].square()) * later, X[:, s], us[s])
    return loss, grads


# %% encoder_decoder_backward: helpers, one-hot words
def encoder_decoder_backward(X, y, P):
    V = len(P["embed.weight"])
    words = F.pad(y[:, :-1], (1, 0), value=START)
    O_x, O_y = F.one_hot(X, V).double(), F.one_hot(words, V).double()
    E_x, E_y = O_x @ P["embed.weight"], O_y @ P["embed.weight"]
    zero = torch.zeros(len(X), len(P["encoder.W_xz.bias"]))
    U = unroll(F.linear(E_x, P["encoder.W_xz.weight"], P["encoder.W_xz.bias"]), zero, P["encoder.W_zz.weight"])
    Z = unroll(F.linear(E_y, P["decoder.W_xz.weight"], P["decoder.W_xz.bias"]), U[:, -1], P["decoder.W_zz.weight"])
    loss, G = masked_cross_entropy(F.linear(Z, P["W_zy.weight"], P["W_zy.bias"]), y)
    D, crossing = through_time(G @ P["W_zy.weight"], Z, P["decoder.W_zz.weight"])
    C, _ = through_time(torch.cat([0 * U[:, 1:], crossing[:, None]], 1), U, P["encoder.W_zz.weight"])
    sums = lambda A, B: torch.einsum("nta,ntb->ab", A, B)
    grads = {
        "embed.weight": sums(O_x, C @ P["encoder.W_xz.weight"]) + sums(O_y, D @ P["decoder.W_xz.weight"]),
        "encoder.W_xz.weight": sums(C, E_x),
        "encoder.W_xz.bias": C.sum((0, 1)),
        "encoder.W_zz.weight": sums(C[:, 1:], U[:, :-1]),
        "decoder.W_xz.weight": sums(D, E_y),
        "decoder.W_xz.bias": D.sum((0, 1)),
        "decoder.W_zz.weight": sums(D, torch.cat([U[:, -1:], Z[:, :-1]], 1)),
        "W_zy.weight": sums(G, Z),
        "W_zy.bias": G.sum((0, 1)),
    }
    return loss, grads


# %% encoder_decoder_backward: numpy, time first
def encoder_decoder_backward(X, y, P):
    P = {name: w.numpy() for name, w in P.items()}
    embed, N = P["embed.weight"], len(y)
    words = np.concatenate([np.full((N, 1), START), y.numpy()[:, :-1]], axis=1).T
    X = X.numpy().T

    def run(side, spoken, Z):
        states = [Z]
        for row in spoken:
            a = embed[row] @ P[f"{side}.W_xz.weight"].T + P[f"{side}.W_xz.bias"]
            states.append(np.tanh(a + states[-1] @ P[f"{side}.W_zz.weight"].T))
        return np.stack(states)

    U = run("encoder", X, np.zeros((N, P["W_zy.weight"].shape[1])))
    Z = run("decoder", words, U[-1])
    loss, G = masked_cross_entropy(torch.from_numpy(Z[1:].transpose(1, 0, 2) @ P["W_zy.weight"].T + P["W_zy.bias"]), y)
    G = G.numpy().transpose(1, 0, 2)
    g = {name: np.zeros_like(w) for name, w in P.items()}
    g["W_zy.weight"], g["W_zy.bias"] = np.einsum("tnv,tnk->vk", G, Z[1:]), G.sum((0, 1))

    def back(side, spoken, states, G_states, later):
        for t in range(len(spoken) - 1, -1, -1):
            D = (G_states[t] + later) * (1 - states[t + 1] ** 2)
            g[f"{side}.W_xz.weight"] += D.T @ embed[spoken[t]]
            g[f"{side}.W_xz.bias"] += D.sum(0)
            g[f"{side}.W_zz.weight"] += D.T @ states[t]
            np.add.at(g["embed.weight"], spoken[t], D @ P[f"{side}.W_xz.weight"])
            later = D @ P[f"{side}.W_zz.weight"]
        return later

    back("encoder", X, U, len(X) * [0.0], back("decoder", words, Z, G @ P["W_zy.weight"], 0.0))
    return loss, g


# %% attention_backward: einsum
def attention_backward(G, Q, K, V):
    d = Q.shape[-1]
    S = torch.einsum("ntd,nsd->nts", Q, K) / math.sqrt(d)
    A = torch.softmax(S, dim=-1)
    G_V = torch.einsum("nts,ntm->nsm", A, G)
    G_A = torch.einsum("ntm,nsm->nts", G, V)
    G_S = A * (G_A - (G_A * A).sum(-1, keepdim=True))
    G_S = G_S / math.sqrt(d)
    return G_S @ K, G_S.transpose(1, 2) @ Q, G_V


# %% attention_backward: numpy
def attention_backward(G, Q, K, V):
    G, Q, K, V = (a.numpy() for a in (G, Q, K, V))
    S = Q @ K.transpose(0, 2, 1) / np.sqrt(Q.shape[2])
    A = np.exp(S - S.max(axis=2, keepdims=True))
    A /= A.sum(axis=2, keepdims=True)
    D = G @ V.transpose(0, 2, 1)
    D = A * (D - (A * D).sum(axis=2, keepdims=True)) / np.sqrt(Q.shape[2])
    return D @ K, D.transpose(0, 2, 1) @ Q, A.transpose(0, 2, 1) @ G


# %% attention_backward: the softmax's Jacobian, row by row
def attention_backward(G, Q, K, V):
    G_Q, G_K, G_V = torch.zeros_like(Q), torch.zeros_like(K), torch.zeros_like(V)
    d = Q.shape[2]
    for n in range(len(Q)):
        for t in range(Q.shape[1]):
            p = (K[n] @ Q[n, t] / d**0.5).softmax(0)
            G_V[n] += torch.outer(p, G[n, t])
            J = torch.diag(p) - torch.outer(p, p)
            s = J @ (V[n] @ G[n, t]) / d**0.5
            G_Q[n, t] = s @ K[n]
            G_K[n] += torch.outer(s, Q[n, t])
    return G_Q, G_K, G_V


# %% attention_backward: the queries scaled first
def attention_backward(G, Q, K, V):
    q = Q / math.sqrt(Q.size(-1))
    A = torch.bmm(q, K.transpose(1, 2)).softmax(-1)
    out = torch.bmm(A, V)
    G_S = A * (torch.bmm(G, V.transpose(1, 2)) - (G * out).sum(-1, keepdim=True))
    return torch.bmm(G_S, K) / math.sqrt(Q.size(-1)), torch.bmm(G_S.transpose(1, 2), q), torch.bmm(A.transpose(1, 2), G)


# %% attention_backward: float32, a dict
def attention_backward(G, Q, K, V):
    G, Q, K, V = G.float(), Q.float(), K.float(), V.float()
    c = Q.shape[2] ** -0.5
    A = F.softmax(c * Q @ K.mT, dim=-1)
    P = A * (G @ V.mT)
    D = c * (P - A * P.sum(2, keepdim=True))
    return {"G_V": A.mT @ G, "G_K": D.mT @ Q, "G_Q": D @ K}


# %% greedy: a for loop with a break
def greedy(step, Z, T):
    words, word = [], START
    for _ in range(T):
        log_p, Z = step(Z, word)
        word = log_p.argmax().item()
        words.append(word)
        if word == END:
            break
    return words


# %% greedy: a tensor of words
def greedy(step, Z, T):
    words = torch.empty(0, dtype=torch.long)
    word = torch.tensor(START)
    for _ in range(T):
        log_p, Z = step(Z, word)
        word = torch.argmax(log_p)
        words = torch.cat([words, word[None]])
        if word == END:
            return words
    return words


# %% greedy: recursion
def greedy(step, Z, T, word=START):
    if T == 0 or word == END:
        return []
    log_p, Z = step(Z, word)
    best = int(torch.argmax(log_p))
    return [best, *greedy(step, Z, T - 1, best)]


# %% greedy: all T words, then cut
def greedy(step, Z, T):
    words = [START]
    for _ in range(T):
        log_p, Z = step(Z, words[-1])
        words.append(log_p.argmax().item())
    words = words[1:]
    return words[: words.index(END) + 1] if END in words else words


# %% greedy: max of a Python list, 0-d tensors
def greedy(step, Z, T):
    found, word = [], START
    while word != END and len(found) < T:
        log_p, Z = step(Z, word)
        values = log_p.tolist()
        word = max(range(len(values)), key=values.__getitem__)
        found.append(torch.tensor(word))
    return tuple(found)


# %% greedy: numpy
def greedy(step, Z, T):
    words = []
    word = np.int64(START)
    for _ in range(T):
        log_p, Z = step(Z, word)
        word = np.argmax(log_p.numpy())
        words += [word]
        if word == END:
            break
    return np.array(words)


# %% beam_search: all candidates in one sorted list
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
    return [words for _, words in ranked], [score for score, _ in ranked]


# %% beam_search: states in one tensor, words in rows of a list
def beam_search(step, Z, T, B, alpha):
    words, totals, states = [[]], torch.zeros(1), Z[None]
    done = []
    for _ in range(T):
        told = [step(state, w[-1] if w else START) for state, w in zip(states, words)]
        table = torch.stack([total + log_p for total, (log_p, _) in zip(totals, told)])
        V = table.shape[1]
        values, order = torch.sort(table.reshape(-1), descending=True, stable=True)
        keep = min(B - len(done), len(order))
        values, order = values[:keep], order[:keep]
        parents, last = order // V, order % V
        grown = [[*words[p], w] for p, w in zip(parents.tolist(), last.tolist())]
        done += [(v, g) for v, g in zip(values.tolist(), grown) if g[-1] == END]
        live = [i for i, g in enumerate(grown) if g[-1] != END]
        if not live:
            words = []
            break
        states = torch.stack([told[parents[i]][1] for i in live])
        totals, words = values[live], [grown[i] for i in live]
    done += list(zip(totals.tolist(), words))
    done = sorted(((v / len(g) ** alpha, g) for v, g in done), key=lambda f: f[0], reverse=True)
    return [g for _, g in done], torch.tensor([v for v, _ in done])


# %% beam_search: a dict of scores, words as tensors
def beam_search(step, Z, T, B, alpha):
    live, ended = [dict(words=torch.empty(0, dtype=torch.long), total=torch.zeros(()), state=Z)], []
    for _ in range(T):
        found = []
        for place, h in enumerate(live):
            word = h["words"][-1] if len(h["words"]) else START
            log_p, state = step(h["state"], word)
            for w, value in enumerate(log_p):
                found.append((h["total"] + value, place, w, state))
        found = sorted(found, key=lambda f: (-float(f[0]), f[1], f[2]))[: B - len(ended)]
        new = [
            dict(words=torch.cat([live[place]["words"], torch.tensor([w])]), total=total, state=state)
            for total, place, w, state in found
        ]
        ended += [h for h in new if h["words"][-1] == END]
        live = [h for h in new if h["words"][-1] != END]
        if len(live) == 0:
            break
    every = ended + live
    scores = [h["total"] / len(h["words"]) ** alpha for h in every]
    order = sorted(range(len(every)), key=lambda i: -scores[i])
    return {"scores": [scores[i] for i in order], "words": [every[i]["words"] for i in order]}


# %% beam_search: a class for hypotheses, heapq
class Hypothesis:
    def __init__(self, words, total, state):
        self.words, self.total, self.state = words, total, state

    def score(self, alpha):
        return self.total / len(self.words) ** alpha


def beam_search(step, Z, T, B, alpha):
    import heapq

    beam, finished = [Hypothesis((), 0.0, Z)], []
    while beam and T > 0:
        T -= 1
        heap = []
        for i, h in enumerate(beam):
            log_p, state = step(h.state, h.words[-1] if h.words else START)
            heap += [
                (-(h.total + p), i, w, Hypothesis((*h.words, w), h.total + p, state))
                for w, p in enumerate(log_p.tolist())
            ]
        best = [item[3] for item in heapq.nsmallest(B - len(finished), heap, key=lambda item: item[:3])]
        beam = [h for h in best if h.words[-1] != END]
        finished.extend(h for h in best if h.words[-1] == END)
    finished = sorted(finished + beam, key=lambda h: h.score(alpha), reverse=True)
    return [list(h.words) for h in finished], [h.score(alpha) for h in finished]


# %% beam_search: numpy's stable argsort
def beam_search(step, Z, T, B, alpha):
    live, ended = [((), 0.0, Z)], []
    for _ in range(T):
        outs = [step(s, w[-1] if w else START) for w, _, s in live]
        totals = np.stack([t + o[0].numpy() for (_, t, _), o in zip(live, outs)])
        kept = np.argsort(-totals, axis=None, kind="stable")[: B - len(ended)]
        new = [((*live[i][0], int(j)), totals[i, j], outs[i][1]) for i, j in zip(*np.unravel_index(kept, totals.shape))]
        ended, live = ended + [h for h in new if h[0][-1] == END], [h for h in new if h[0][-1] != END]
        if not live:
            break
    found = ended + live
    scores = np.array([t / len(w) ** alpha for w, t, _ in found])
    order = np.argsort(-scores, kind="stable")
    return [np.array(found[i][0]) for i in order], scores[order]


# %% train_captioner: a wider network, momentum
def train_captioner(X, y, V, seed):
    g = torch.Generator().manual_seed(seed)
    m, n = 24, 224
    make = lambda rows, columns: torch.randn(rows, columns, generator=g, dtype=torch.float32) / columns**0.5
    P = {"embed.weight": make(V, m), "W_iv.weight": make(n, X.shape[1]), "W_xz.weight": make(n, m)}
    P |= {"W_xz.bias": torch.zeros(n, dtype=torch.float32), "W_zz.weight": make(n, n), "W_zy.weight": make(V, n)}
    P["W_zy.bias"] = torch.zeros(V, dtype=torch.float32)
    v, X, epochs = dict.fromkeys(P, 0), X.float(), 40
    for epoch in range(epochs):
        for some in torch.randperm(len(X), generator=g).split(50):
            _, grads = multimodal_rnn_backward(X[some], y[some], P)
            size = math.sqrt(sum(float((grad**2).sum()) for grad in grads.values()))
            for name, grad in grads.items():
                v[name] = 0.9 * v[name] + grad * min(1.0, 1 / size)
                P[name] = P[name] - 0.1 * (1 - epoch / epochs) * v[name]
    return P


# %% train_captioner: returned in order, not as a dict
def train_captioner(X, y, V, seed):
    generator = torch.Generator().manual_seed(seed)
    m, n, epochs, batch, alpha, t = 16, 192, 20, 100, 0.005, 0
    shapes = dict(embed=(V, m), W_iv=(n, X.shape[1]), W_xz=(n, m), W_zz=(n, n), W_zy=(V, n))
    X, P = X.float(), {}
    for layer, (rows, columns) in shapes.items():
        W = torch.randn(rows, columns, generator=generator, dtype=torch.float32)
        P[f"{layer}.weight"] = W / math.sqrt(columns)
    P["W_xz.bias"], P["W_zy.bias"] = torch.zeros(n, dtype=torch.float32), torch.zeros(V, dtype=torch.float32)
    means = {name: torch.zeros_like(w) for name, w in P.items()}
    squares = {name: torch.zeros_like(w) for name, w in P.items()}
    steps = epochs * math.ceil(len(X) / batch)
    for _ in range(epochs):
        for some in torch.randperm(len(X), generator=generator).split(batch):
            t += 1
            _, grads = multimodal_rnn_backward(X[some], y[some], P)
            for name, g in grads.items():
                means[name] = 0.9 * means[name] + 0.1 * g
                squares[name] = 0.999 * squares[name] + 0.001 * g**2
                root = (squares[name] / (1 - 0.999**t)).sqrt() + 1e-8
                P[name] = P[name] - alpha * (1 - t / steps) * means[name] / (1 - 0.9**t) / root
    return tuple(
        P[f"{n}.{k}"]
        for n, k in (
            name.split(".")
            for name in (
                "embed.weight",
                "W_iv.weight",
                "W_xz.weight",
                "W_xz.bias",
                "W_zz.weight",
                "W_zy.weight",
                "W_zy.bias",
            )
        )
    )


# %% train_captioner: batches of 50, fewer epochs
def train_captioner(X, y, V, seed):
    generator = torch.Generator().manual_seed(seed)
    m, n, epochs, batch, alpha, t = 16, 192, 16, 50, 0.004, 0
    shapes = dict(embed=(V, m), W_iv=(n, X.shape[1]), W_xz=(n, m), W_zz=(n, n), W_zy=(V, n))
    X, P = X.float(), {}
    for layer, (rows, columns) in shapes.items():
        W = torch.randn(rows, columns, generator=generator, dtype=torch.float32)
        P[f"{layer}.weight"] = W / math.sqrt(columns)
    P["W_xz.bias"], P["W_zy.bias"] = torch.zeros(n, dtype=torch.float32), torch.zeros(V, dtype=torch.float32)
    means = {name: torch.zeros_like(w) for name, w in P.items()}
    squares = {name: torch.zeros_like(w) for name, w in P.items()}
    steps = epochs * math.ceil(len(X) / batch)
    for _ in range(epochs):
        for some in torch.randperm(len(X), generator=generator).split(batch):
            t += 1
            _, grads = multimodal_rnn_backward(X[some], y[some], P)
            for name, g in grads.items():
                means[name] = 0.9 * means[name] + 0.1 * g
                squares[name] = 0.999 * squares[name] + 0.001 * g**2
                root = (squares[name] / (1 - 0.999**t)).sqrt() + 1e-8
                P[name] = P[name] - alpha * (1 - t / steps) * means[name] / (1 - 0.9**t) / root
    return P


# %% train_captioner: gradients clipped, weights in float64
def train_captioner(X, y, V, seed):
    generator = torch.Generator().manual_seed(seed)
    m, n, epochs, batch, alpha, t = 16, 192, 20, 100, 0.005, 0
    shapes = dict(embed=(V, m), W_iv=(n, X.shape[1]), W_xz=(n, m), W_zz=(n, n), W_zy=(V, n))
    P = {}
    for layer, (rows, columns) in shapes.items():
        W = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
        P[f"{layer}.weight"] = W / math.sqrt(columns)
    P["W_xz.bias"], P["W_zy.bias"] = torch.zeros(n, dtype=torch.float64), torch.zeros(V, dtype=torch.float64)
    means = {name: torch.zeros_like(w) for name, w in P.items()}
    squares = {name: torch.zeros_like(w) for name, w in P.items()}
    steps = epochs * math.ceil(len(X) / batch)
    for _ in range(epochs):
        for some in torch.randperm(len(X), generator=generator).split(batch):
            t += 1
            _, grads = multimodal_rnn_backward(X[some], y[some], P)
            norm = sum((g**2).sum() for g in grads.values()).sqrt()
            grads = {name: g * min(1, 5 / norm) for name, g in grads.items()}
            for name, g in grads.items():
                means[name] = 0.9 * means[name] + 0.1 * g
                squares[name] = 0.999 * squares[name] + 0.001 * g**2
                root = (squares[name] / (1 - 0.999**t)).sqrt() + 1e-8
                P[name] = P[name] - alpha * (1 - t / steps) * means[name] / (1 - 0.9**t) / root
    return P


# %% train_captioner: numpy's random numbers
def train_captioner(X, y, V, seed):
    generator = np.random.default_rng(seed)
    m, n, epochs, batch, alpha, t = 16, 192, 20, 100, 0.005, 0
    shapes = dict(embed=(V, m), W_iv=(n, X.shape[1]), W_xz=(n, m), W_zz=(n, n), W_zy=(V, n))
    X, P = X.float(), {}
    for layer, (rows, columns) in shapes.items():
        W = torch.from_numpy(generator.standard_normal((rows, columns), dtype=np.float32))
        P[f"{layer}.weight"] = W / math.sqrt(columns)
    P["W_xz.bias"], P["W_zy.bias"] = torch.zeros(n, dtype=torch.float32), torch.zeros(V, dtype=torch.float32)
    means = {name: torch.zeros_like(w) for name, w in P.items()}
    squares = {name: torch.zeros_like(w) for name, w in P.items()}
    steps = epochs * math.ceil(len(X) / batch)
    for _ in range(epochs):
        for some in torch.from_numpy(generator.permutation(len(X))).split(batch):
            t += 1
            _, grads = multimodal_rnn_backward(X[some], y[some], P)
            for name, g in grads.items():
                means[name] = 0.9 * means[name] + 0.1 * g
                squares[name] = 0.999 * squares[name] + 0.001 * g**2
                root = (squares[name] / (1 - 0.999**t)).sqrt() + 1e-8
                P[name] = P[name] - alpha * (1 - t / steps) * means[name] / (1 - 0.9**t) / root
    return P


# %% bleu: dictionaries of counts
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
    return p, penalty, penalty * math.exp(sum(math.log(x) for x in p) / 4)


# %% bleu: strings joined, by index
def bleu(hypotheses, references):
    p = []
    for n in (1, 2, 3, 4):
        hits = total = 0
        for h, told in zip(hypotheses, references):
            mine = [" ".join(map(str, h[i : i + n])) for i in range(len(h) - n + 1)]
            theirs = [[" ".join(map(str, r[i : i + n])) for i in range(len(r) - n + 1)] for r in told]
            for gram in set(mine):
                hits += min(mine.count(gram), max(t.count(gram) for t in theirs))
            total += len(mine)
        p.append((hits, total))
    missing, out = 0, []
    for hits, total in p:
        missing += hits == 0
        out.append(hits / total if hits else 1 / (2**missing * total))
    c = sum(map(len, hypotheses))
    r = sum(
        len(min(told, key=lambda t, h=h: (abs(len(t) - len(h)), len(t)))) for h, told in zip(hypotheses, references)
    )
    bp = math.exp(min(0, 1 - r / c))
    return np.array(out), bp, bp * np.exp(np.mean(np.log(out)))


# %% bleu: tensors
def bleu(hypotheses, references):
    from collections import Counter

    hits, totals = torch.zeros(4), torch.zeros(4)
    for h, told in zip(hypotheses, references):
        for n in range(4):
            grams = [Counter(zip(*(s[i:] for i in range(n + 1)))) for s in (h, *told)]
            best = grams[1]
            for g in grams[2:]:
                best = best | g
            hits[n] += sum((grams[0] & best).values())
            totals[n] += sum(grams[0].values())
    none = hits == 0
    p = torch.where(none, 2.0 ** -none.cumsum(0), hits) / totals
    c = torch.tensor(float(sum(len(h) for h in hypotheses)))
    r = sum(sorted((abs(len(t) - len(h)), len(t)) for t in told)[0][1] for h, told in zip(hypotheses, references))
    penalty = (1 - r / c).clamp(max=0).exp()
    return p, penalty, penalty * p.log().mean().exp()


# %% bleu: a helper for each part
def counts(words, n):
    found = {}
    for i in range(len(words) - n + 1):
        gram = tuple(words[i : i + n])
        found[gram] = found.get(gram, 0) + 1
    return found


def hits_and_total(hypothesis, told, n):
    mine, theirs = counts(hypothesis, n), [counts(t, n) for t in told]
    return sum(min(c, max(t.get(g, 0) for t in theirs)) for g, c in mine.items()), sum(mine.values())


def nearest(hypothesis, told):
    lengths = sorted(len(t) for t in told)
    return min(lengths, key=lambda length: abs(length - len(hypothesis)))


def bleu(hypotheses, references):
    p, k = [], 0
    for n in range(1, 5):
        pairs = [hits_and_total(h, told, n) for h, told in zip(hypotheses, references)]
        hits, total = sum(a for a, _ in pairs), sum(b for _, b in pairs)
        if hits == 0:
            k += 1
            hits = 2**-k
        p.append(hits / total)
    c, r = sum(map(len, hypotheses)), sum(map(nearest, hypotheses, references))
    penalty = 1 if c > r else math.exp(1 - r / c)
    return {"p": p, "penalty": penalty, "score": penalty * (p[0] * p[1] * p[2] * p[3]) ** (1 / 4)}


# %% bleu: defaultdicts, logarithms added up
def bleu(hypotheses, references):
    from collections import defaultdict

    p, k, logs, c, r = [], 0, 0.0, 0, 0
    for h, told in zip(hypotheses, references):
        c += len(h)
        gap = min(abs(len(t) - len(h)) for t in told)
        r += len(h) - gap if any(len(t) == len(h) - gap for t in told) else len(h) + gap
    for n in range(1, 5):
        numerator, denominator = 0, 0
        for h, told in zip(hypotheses, references):
            most = defaultdict(int)
            for t in told:
                here = defaultdict(int)
                for i in range(len(t) - n + 1):
                    here[tuple(t[i : i + n])] += 1
                for gram, count in here.items():
                    most[gram] = max(most[gram], count)
            for i in range(len(h) - n + 1):
                gram = tuple(h[i : i + n])
                denominator += 1
                if most[gram] > 0:
                    most[gram] -= 1
                    numerator += 1
        if numerator == 0:
            k += 1
            numerator = 1 / 2**k
        p.append(numerator / denominator)
        logs += 0.25 * math.log(p[-1])
    penalty = math.exp(min(0.0, 1 - r / c))
    return p, penalty, math.exp(logs + min(0.0, 1 - r / c))


# %% self_attention_backward: torch.where and transposes
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
    return G_Q @ W_Q + G_K @ W_K + G_V @ W_V, *weights


# %% self_attention_backward: attention_backward, one word at a time
def self_attention_backward(G, X, W_Q, W_K, W_V):
    Q, K, V = X @ W_Q.T, X @ W_K.T, X @ W_V.T
    G_Q, G_K, G_V = torch.zeros_like(Q), torch.zeros_like(K), torch.zeros_like(V)
    for t in range(X.shape[1]):
        now, seen = slice(t, t + 1), slice(0, t + 1)
        q, k, v = attention_backward(G[:, now], Q[:, now], K[:, seen], V[:, seen])
        G_Q[:, now] += q
        G_K[:, seen] += k
        G_V[:, seen] += v
    flat = X.flatten(0, 1)
    return (
        G_Q @ W_Q + G_K @ W_K + G_V @ W_V,
        G_Q.flatten(0, 1).T @ flat,
        G_K.flatten(0, 1).T @ flat,
        G_V.flatten(0, 1).T @ flat,
    )


# %% self_attention_backward: numpy
def self_attention_backward(G, X, W_Q, W_K, W_V):
    G, X, W_Q, W_K, W_V = (a.numpy() for a in (G, X, W_Q, W_K, W_V))
    Q, K, V = X @ W_Q.T, X @ W_K.T, X @ W_V.T
    S = Q @ np.swapaxes(K, 1, 2) / np.sqrt(Q.shape[2]) + np.triu(np.full(2 * X.shape[1:2], -np.inf), 1)
    A = np.exp(S - S.max(2, keepdims=True))
    A /= A.sum(2, keepdims=True)
    P = A * (G @ np.swapaxes(V, 1, 2))
    D = (P - A * P.sum(2, keepdims=True)) / np.sqrt(Q.shape[2])
    G_Q, G_K, G_V = D @ K, np.swapaxes(D, 1, 2) @ Q, np.swapaxes(A, 1, 2) @ G
    sums = lambda Y: np.einsum("ntd,ntk->dk", Y, X)
    return G_Q @ W_Q + G_K @ W_K + G_V @ W_V, sums(G_Q), sums(G_K), sums(G_V)


# %% self_attention_backward: a large negative number for the mask
def self_attention_backward(G, X, W_Q, W_K, W_V):
    Q, K, V = X @ W_Q.T, X @ W_K.T, X @ W_V.T
    c = Q.shape[2] ** -0.5
    S = c * Q @ K.transpose(1, 2)
    mask = torch.tril(torch.ones(X.shape[1], X.shape[1])) == 1
    A = (S - 1e9 * ~mask).softmax(2)
    G_A = G @ V.transpose(1, 2)
    G_S = c * A * (G_A - (A * G_A).sum(2, keepdim=True))
    G_Q, G_K, G_V = G_S @ K, G_S.transpose(1, 2) @ Q, A.transpose(1, 2) @ G
    weights = [(G_Y.transpose(1, 2) @ X).sum(0) for G_Y in (G_Q, G_K, G_V)]
    return G_Q @ W_Q + G_K @ W_K + G_V @ W_V, *weights


# %% self_attention_backward: masked weights, normalised again
def self_attention_backward(G, X, W_Q, W_K, W_V):
    Q, K, V = X @ W_Q.T, X @ W_K.T, X @ W_V.T
    c = Q.shape[2] ** -0.5
    S = c * Q @ K.transpose(1, 2)
    mask = torch.tril(torch.ones(X.shape[1], X.shape[1])) == 1
    A = S.softmax(2) * mask
    A = A / A.sum(2, keepdim=True)
    G_A = G @ V.transpose(1, 2)
    G_S = c * A * (G_A - (A * G_A).sum(2, keepdim=True))
    G_Q, G_K, G_V = G_S @ K, G_S.transpose(1, 2) @ Q, A.transpose(1, 2) @ G
    weights = [(G_Y.transpose(1, 2) @ X).sum(0) for G_Y in (G_Q, G_K, G_V)]
    return G_Q @ W_Q + G_K @ W_K + G_V @ W_V, *weights


# %% self_attention_backward: float32, a dict
def self_attention_backward(G, X, W_Q, W_K, W_V):
    G, X, W_Q, W_K, W_V = (a.float() for a in (G, X, W_Q, W_K, W_V))
    Q, K, V = X @ W_Q.T, X @ W_K.T, X @ W_V.T
    c = Q.shape[2] ** -0.5
    S = c * Q @ K.transpose(1, 2)
    mask = torch.tril(torch.ones(X.shape[1], X.shape[1])) == 1
    A = torch.where(mask, S, -torch.inf).softmax(2)
    G_A = G @ V.transpose(1, 2)
    G_S = c * A * (G_A - (A * G_A).sum(2, keepdim=True))
    G_Q, G_K, G_V = G_S @ K, G_S.transpose(1, 2) @ Q, A.transpose(1, 2) @ G
    weights = [(G_Y.transpose(1, 2) @ X).sum(0) for G_Y in (G_Q, G_K, G_V)]
    G_X = G_Q @ W_Q + G_K @ W_K + G_V @ W_V
    return {"G_X": G_X, "G_W_Q": weights[0], "G_W_K": weights[1], "G_W_V": weights[2]}
