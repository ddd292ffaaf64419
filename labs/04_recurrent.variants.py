"""Right answers of the lab `recurrent` in the many ways that people write them: each must earn all points.

A cell's title is `question: how it is written`; it runs after all solutions of the lab, in their namespace.
"""
# ruff: noqa: F811, F821


# %% rnn_step: one product of what is joined
def rnn_step(x, z_prev, W_xz, W_zz, b_1):
    return torch.tanh(torch.cat([x, z_prev], dim=1) @ torch.cat([W_xz, W_zz], dim=1).T + b_1)


# %% rnn_step: numpy
def rnn_step(x, z_prev, W_xz, W_zz, b_1):
    x, z_prev, W_xz, W_zz, b_1 = (np.asarray(a) for a in (x, z_prev, W_xz, W_zz, b_1))
    return np.tanh(x @ W_xz.T + z_prev @ W_zz.T + b_1)


# %% rnn_step: F.linear, float32
def rnn_step(x, z_prev, W_xz, W_zz, b_1):
    a = F.linear(x.float(), W_xz.float(), b_1.float()) + F.linear(z_prev.float(), W_zz.float())
    return a.tanh()


# %% rnn_step: example by example
def rnn_step(x, z_prev, W_xz, W_zz, b_1):
    return torch.stack([torch.tanh(W_xz @ x_i + W_zz @ z_i + b_1) for x_i, z_i in zip(x, z_prev)])


# %% rnn_step: einsum, tanh by exponentials
def rnn_step(x, z_prev, W_xz, W_zz, b_1):
    a = torch.einsum("mn,kn->mk", x, W_xz) + torch.einsum("ml,kl->mk", z_prev, W_zz) + b_1
    return (torch.exp(a) - torch.exp(-a)) / (torch.exp(a) + torch.exp(-a))


# %% rnn_backward: all steps of the weights in one product
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    Z = [z_0]
    for x in X:
        Z.append(rnn_step(x, Z[-1], W_xz, W_zz, b_1))
    Z, D, g = torch.stack(Z), torch.empty_like(G), torch.zeros_like(z_0)
    for t in reversed(range(len(X))):
        D[t] = (G[t] + g) * (1 - Z[t + 1] ** 2)
        g = D[t] @ W_zz
    flat = D.flatten(0, 1)
    return D @ W_xz, g, flat.T @ X.flatten(0, 1), flat.T @ Z[:-1].flatten(0, 1), flat.sum(0)


# %% rnn_backward: numpy
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    G, X, z_0, W_xz, W_zz, b_1 = (a.numpy() for a in (G, X, z_0, W_xz, W_zz, b_1))
    Z = np.concatenate([z_0[None], np.zeros_like(G)])
    for t in range(len(X)):
        Z[t + 1] = np.tanh(X[t] @ W_xz.T + Z[t] @ W_zz.T + b_1)
    D = np.zeros_like(G)
    for t in range(len(X) - 1, -1, -1):
        back = D[t + 1] @ W_zz if t + 1 < len(X) else 0
        D[t] = (G[t] + back) * (1 - Z[t + 1] ** 2)
    G_W_zz = np.einsum("tmk,tml->kl", D, Z[:-1])
    return D @ W_xz, D[0] @ W_zz, np.einsum("tmk,tmn->kn", D, X), G_W_zz, D.sum((0, 1))


# %% rnn_backward: recursion, a dict
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    if len(X) == 0:
        zeros = {f"G_{name}": torch.zeros_like(w) for name, w in dict(W_xz=W_xz, W_zz=W_zz, b_1=b_1).items()}
        return {"G_X": X.clone(), "G_z_0": torch.zeros_like(z_0), **zeros}
    z = rnn_step(X[0], z_0, W_xz, W_zz, b_1)
    later = rnn_backward(G[1:], X[1:], z, W_xz, W_zz, b_1)
    D = (G[0] + later["G_z_0"]) * (1 - z**2)
    later["G_X"] = torch.cat([(D @ W_xz)[None], later["G_X"]])
    later["G_z_0"] = D @ W_zz
    later["G_W_xz"] += D.T @ X[0]
    later["G_W_zz"] += D.T @ z_0
    later["G_b_1"] += D.sum(0)
    return later


# %% rnn_backward: float32
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    G, X, z_0, W_xz, W_zz, b_1 = (a.float() for a in (G, X, z_0, W_xz, W_zz, b_1))
    Z = [z_0]
    for x in X:
        Z.append(torch.tanh(F.linear(x, W_xz, b_1) + Z[-1] @ W_zz.T))
    G_X, sums, g = [], [0, 0, 0], 0
    for t in range(len(X) - 1, -1, -1):
        D = (G[t] + g) * (1 - Z[t + 1].square())
        G_X.insert(0, D @ W_xz)
        sums = [total + new for total, new in zip(sums, (D.T @ X[t], D.T @ Z[t], D.sum(0)))]
        g = D @ W_zz
    return torch.stack(G_X), g, *sums


# %% rnn_backward: example by example, columns as on the slides
def rnn_backward(G, X, z_0, W_xz, W_zz, b_1):
    G_X, G_z_0 = torch.zeros_like(X), torch.zeros_like(z_0)
    G_W_xz, G_W_zz, G_b_1 = torch.zeros_like(W_xz), torch.zeros_like(W_zz), torch.zeros_like(b_1)
    for i in range(X.shape[1]):
        z = [z_0[i]]
        for t in range(len(X)):
            z.append(torch.tanh(W_xz @ X[t, i] + W_zz @ z[t] + b_1))
        for t in range(len(X), 0, -1):
            delta = (G[t - 1, i] + G_z_0[i]) * (1 - z[t] ** 2)
            G_X[t - 1, i] = W_xz.T @ delta
            G_z_0[i] = W_zz.T @ delta
            G_W_xz += torch.outer(delta, X[t - 1, i])
            G_W_zz += torch.outer(delta, z[t - 1])
            G_b_1 += delta
    return G_X, G_z_0, G_W_xz, G_W_zz, G_b_1


# %% clip_gradients: as torch divides
def clip_gradients(gs, c):
    norm = torch.sqrt(sum((g**2).sum() for g in gs))
    return [g * torch.clamp(c / (norm + 1e-6), max=1.0) for g in gs], norm


# %% clip_gradients: one long vector
def clip_gradients(gs, c):
    norm = torch.cat([g.flatten() for g in gs]).norm()
    return [g * c / max(norm, c) for g in gs], norm


# %% clip_gradients: the norm of norms
def clip_gradients(gs, c):
    norm = torch.stack([torch.linalg.vector_norm(g) for g in gs]).norm()
    if norm <= c:
        return [g.clone() for g in gs], norm.item()
    return [g / norm * c for g in gs], norm.item()


# %% clip_gradients: numpy
def clip_gradients(gs, c):
    gs = [g.numpy() for g in gs]
    norm = np.sqrt(sum(np.sum(g * g) for g in gs))
    return [g * min(1.0, c / (norm + 1e-12)) for g in gs], norm


# %% clip_gradients: a tuple, a dict, float32
def clip_gradients(gs, c):
    norm = math.hypot(*[value for g in gs for value in g.flatten().tolist()])
    scale = 1 if norm < c else c / norm
    return {"norm": norm, "clipped": tuple(scale * g.float() for g in gs)}


# %% vanishing: every product anew
def vanishing(X, z_0, W_xz, W_zz, b_1):
    Js, z = [], z_0
    for x in X:
        z = torch.tanh(W_xz @ x + W_zz @ z + b_1)
        Js.append(torch.diag(1 - z**2) @ W_zz)
    products = [torch.linalg.multi_dot([torch.eye(len(z)), *Js[t:][::-1]]) for t in range(len(X))]
    return torch.stack([torch.linalg.matrix_norm(J, 2) for J in products])


# %% vanishing: the largest singular value, a list
def vanishing(X, z_0, W_xz, W_zz, b_1):
    Z = [z_0]
    for x in X:
        Z.append(torch.tanh(W_xz @ x + W_zz @ Z[-1] + b_1))
    J, norms = torch.eye(len(z_0)), []
    for z in Z[:0:-1]:
        J = J @ torch.diag(1 - z**2) @ W_zz
        norms.append(torch.linalg.svdvals(J)[0].item())
    return norms[::-1]


# %% vanishing: numpy
def vanishing(X, z_0, W_xz, W_zz, b_1):
    X, z, W_xz, W_zz, b_1 = (a.numpy() for a in (X, z_0, W_xz, W_zz, b_1))
    Js = []
    for x in X:
        z = np.tanh(W_xz @ x + W_zz @ z + b_1)
        Js.append((1 - z**2)[:, None] * W_zz)
    J, norms = np.eye(len(z)), np.zeros(len(X))
    for t in range(len(X) - 1, -1, -1):
        J = J @ Js[t]
        norms[t] = np.linalg.norm(J, ord=2)
    return norms


# %% vanishing: the root of the largest eigenvalue
def vanishing(X, z_0, W_xz, W_zz, b_1):
    Z = [z_0[None]]
    for x in X:
        Z.append(rnn_step(x[None], Z[-1], W_xz, W_zz, b_1))
    J, norms = torch.eye(len(z_0)), torch.zeros(len(X))
    for t in range(len(X), 0, -1):
        J = torch.einsum("ij,j,jk->ik", J, 1 - Z[t][0] ** 2, W_zz)
        norms[t - 1] = torch.linalg.eigvalsh(J.T @ J)[-1].sqrt()
    return norms


# %% vanishing: rows of the product by rnn_backward
def vanishing(X, z_0, W_xz, W_zz, b_1):
    k, norms = len(z_0), []
    z = z_0[None]
    for t in range(len(X)):
        G = torch.zeros(len(X) - t, k, k)
        G[-1] = torch.eye(k)
        many = X[t:, None].expand(-1, k, -1)
        norms.append(torch.linalg.matrix_norm(rnn_backward(G, many, z.expand(k, k), W_xz, W_zz, b_1)[1], 2))
        z = rnn_step(X[t][None], z, W_xz, W_zz, b_1)
    return norms


# %% lstm_step: slices
def lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    k = h_prev.shape[1]
    a = x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh
    i, f, o = torch.sigmoid(a[:, :k]), torch.sigmoid(a[:, k : 2 * k]), torch.sigmoid(a[:, 3 * k :])
    g = torch.tanh(a[:, 2 * k : 3 * k])
    c = f * c_prev + i * g
    return o * torch.tanh(c), c


# %% lstm_step: eight products
def lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    blocks = zip(W_ih.chunk(4), W_hh.chunk(4), b_ih.chunk(4), b_hh.chunk(4))
    a_i, a_f, a_g, a_o = (F.linear(x, W, b) + F.linear(h_prev, V, d) for W, V, b, d in blocks)
    c = torch.addcmul(a_f.sigmoid() * c_prev, a_i.sigmoid(), a_g.tanh())
    return a_o.sigmoid() * c.tanh(), c


# %% lstm_step: numpy
def lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh = (np.asarray(a) for a in (x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh))
    i, f, g, o = np.split(x @ W_ih.T + h_prev @ W_hh.T + b_ih + b_hh, 4, axis=1)
    sigma = lambda a: 1 / (1 + np.exp(-a))
    c = sigma(f) * c_prev + sigma(i) * np.tanh(g)
    return sigma(o) * np.tanh(c), c


# %% lstm_step: gates as an axis, a dict
def lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    a = (x @ W_ih.T + h_prev @ W_hh.T + b_ih + b_hh).unflatten(1, (4, -1))
    i, f, o = a[:, [0, 1, 3]].sigmoid().unbind(1)
    c = f * c_prev + i * a[:, 2].tanh()
    return {"c": c, "h": o * c.tanh()}


# %% lstm_step: σ as a tanh, float32
def lstm_step(x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    x, h_prev, c_prev, W_ih, W_hh = (a.float() for a in (x, h_prev, c_prev, W_ih, W_hh))
    a_i, a_f, a_g, a_o = torch.chunk(x @ W_ih.T + h_prev @ W_hh.T + (b_ih + b_hh).float(), 4, dim=-1)
    sigma = lambda a: (1 + torch.tanh(a / 2)) / 2
    c = sigma(a_f) * c_prev + sigma(a_i) * torch.tanh(a_g)
    return [sigma(a_o) * torch.tanh(c), c]


# %% lstm_step_backward: line by line
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    k = h_prev.shape[1]
    a = x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh
    i, f = torch.sigmoid(a[:, :k]), torch.sigmoid(a[:, k : 2 * k])
    g, o = torch.tanh(a[:, 2 * k : 3 * k]), torch.sigmoid(a[:, 3 * k :])
    c = f * c_prev + i * g
    do = G_h * torch.tanh(c)
    dc = G_c + G_h * o * (1 - torch.tanh(c) ** 2)
    da = torch.zeros_like(a)
    da[:, :k] = dc * g * i * (1 - i)
    da[:, k : 2 * k] = dc * c_prev * f * (1 - f)
    da[:, 2 * k : 3 * k] = dc * i * (1 - g**2)
    da[:, 3 * k :] = do * o * (1 - o)
    return da @ W_ih, da @ W_hh, dc * f, da.T @ x, da.T @ h_prev, da.sum(0), da.sum(0)


# %% lstm_step_backward: numpy
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    G_h, G_c, x, h_prev, c_prev = (a.numpy() for a in (G_h, G_c, x, h_prev, c_prev))
    W_ih, W_hh, b_ih, b_hh = (a.numpy() for a in (W_ih, W_hh, b_ih, b_hh))
    i, f, g, o = np.split(x @ W_ih.T + b_ih + h_prev @ W_hh.T + b_hh, 4, axis=1)
    i, f, o, g = 1 / (1 + np.exp(-i)), 1 / (1 + np.exp(-f)), 1 / (1 + np.exp(-o)), np.tanh(g)
    c = f * c_prev + i * g
    dc = G_c + G_h * o / np.cosh(c) ** 2
    A = np.hstack(
        [dc * g * i * (1 - i), dc * c_prev * f * (1 - f), dc * i * (1 - g * g), G_h * np.tanh(c) * o * (1 - o)]
    )
    return A @ W_ih, A @ W_hh, dc * f, A.T @ x, A.T @ h_prev, A.sum(0), A.sum(0)


# %% lstm_step_backward: gate by gate, a dict
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    W, V = W_ih.chunk(4), W_hh.chunk(4)
    b = (b_ih + b_hh).chunk(4)
    a = [x @ W[j].T + h_prev @ V[j].T + b[j] for j in range(4)]
    i, f, g, o = a[0].sigmoid(), a[1].sigmoid(), a[2].tanh(), a[3].sigmoid()
    tanh_c = torch.tanh(f * c_prev + i * g)
    dc = G_c + G_h * o * (1 - tanh_c**2)
    D = [dc * g * i * (1 - i), dc * c_prev * f * (1 - f), dc * i * (1 - g**2), G_h * tanh_c * o * (1 - o)]
    bias = torch.cat([d.sum(0) for d in D])
    return {
        "G_x": sum(d @ w for d, w in zip(D, W)),
        "G_h_prev": sum(d @ v for d, v in zip(D, V)),
        "G_c_prev": dc * f,
        "G_W_ih": torch.cat([d.T @ x for d in D]),
        "G_W_hh": torch.cat([d.T @ h_prev for d in D]),
        "G_b_ih": bias,
        "G_b_hh": bias,
    }


# %% lstm_step_backward: example by example
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    sums, rows = [torch.zeros_like(w) for w in (W_ih, W_hh, b_ih, b_hh)], []
    for j in range(len(x)):
        i, f, g, o = (W_ih @ x[j] + b_ih + W_hh @ h_prev[j] + b_hh).chunk(4)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c_prev[j] + i * g
        d = G_c[j] + G_h[j] * o * (1 - c.tanh() ** 2)
        slopes = [g * i * (1 - i) * d, c_prev[j] * f * (1 - f) * d, i * (1 - g**2) * d]
        a = torch.cat([*slopes, G_h[j] * c.tanh() * o * (1 - o)])
        rows.append((W_ih.T @ a, W_hh.T @ a, d * f))
        for total, new in zip(sums, (torch.outer(a, x[j]), torch.outer(a, h_prev[j]), a, a)):
            total += new
    return *map(torch.stack, zip(*rows)), *sums


# %% lstm_step_backward: float32, einsum
def lstm_step_backward(G_h, G_c, x, h_prev, c_prev, W_ih, W_hh, b_ih, b_hh):
    G_h, G_c, x, h_prev, c_prev = (a.float() for a in (G_h, G_c, x, h_prev, c_prev))
    W_ih, W_hh, b = W_ih.float(), W_hh.float(), (b_ih + b_hh).float()
    i, f, g, o = (x @ W_ih.T + h_prev @ W_hh.T + b).unflatten(1, (4, -1)).unbind(1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    t = (f * c_prev + i * g).tanh()
    d = G_c + G_h * o * (1 - t.square())
    A = torch.stack([d * g * i * (1 - i), d * c_prev * f * (1 - f), d * i * (1 - g * g), G_h * t * o * (1 - o)], 1)
    A = A.flatten(1)
    G_W_ih, G_W_hh = torch.einsum("mg,mn->gn", A, x), torch.einsum("mg,mk->gk", A, h_prev)
    return A @ W_ih, A @ W_hh, d * f, G_W_ih, G_W_hh, A.sum(0), A.sum(0)


# %% lstm_backward: gates kept from the forward pass, one product for all steps
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    read, h, c, kept = X @ W_ih.T + (b_ih + b_hh), h_0, c_0, []
    for a in read:
        i, f, g, o = (a + h @ W_hh.T).chunk(4, dim=1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        before = h, c
        c = f * c + i * g
        h = o * c.tanh()
        kept.append((i, f, g, o, c.tanh(), *before))
    A, G_h = torch.zeros_like(read), torch.zeros_like(h_0)
    for t in range(len(X) - 1, -1, -1):
        i, f, g, o, tanh_c, _, c_prev = kept[t]
        G_h = G_h + G_H[t]
        d = G_c + G_h * o * (1 - tanh_c**2)
        parts = [d * g * i * (1 - i), d * c_prev * f * (1 - f), d * i * (1 - g**2), G_h * tanh_c * o * (1 - o)]
        A[t] = torch.cat(parts, dim=1)
        G_h, G_c = A[t] @ W_hh, d * f
    H = torch.stack([step[5] for step in kept])
    flat = A.flatten(0, 1)
    b = flat.sum(0)
    return A @ W_ih, G_h, G_c, flat.T @ X.flatten(0, 1), flat.T @ H.flatten(0, 1), b, b


# %% lstm_backward: states in two lists, sums as a dict
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    P = dict(W_ih=W_ih, W_hh=W_hh, b_ih=b_ih, b_hh=b_hh)
    hs, cs = [h_0], [c_0]
    for x in X:
        h, c = lstm_step(x, hs[-1], cs[-1], **P)
        hs.append(h)
        cs.append(c)
    out = {f"G_{name}": torch.zeros_like(w) for name, w in P.items()}
    dh, dc, G_X = torch.zeros_like(h_0), G_c.clone(), []
    for t in range(len(X) - 1, -1, -1):
        dx, dh, dc, *rest = lstm_step_backward(G_H[t] + dh, dc, X[t], hs[t], cs[t], **P)
        G_X.append(dx)
        for name, g in zip(out, rest):
            out[name] += g
    return {"G_X": torch.stack(G_X[::-1]), "G_h_0": dh, "G_c_0": dc, **out}


# %% lstm_backward: recursion
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    weights = W_ih, W_hh, b_ih, b_hh
    if not len(X):
        return X, torch.zeros_like(h_0), G_c, *[torch.zeros_like(w) for w in weights]
    after = lstm_step(X[0], h_0, c_0, *weights)
    G_X, G_h, G_c, *sums = lstm_backward(G_H[1:], G_c, X[1:], *after, *weights)
    dx, dh, dc, *new = lstm_step_backward(G_H[0] + G_h, G_c, X[0], h_0, c_0, *weights)
    return torch.cat([dx[None], G_X]), dh, dc, *[total + g for total, g in zip(sums, new)]


# %% lstm_backward: numpy
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    G_H, d_c, X, h, c = (a.numpy() for a in (G_H, G_c, X, h_0, c_0))
    W_ih, W_hh, b = W_ih.numpy(), W_hh.numpy(), (b_ih + b_hh).numpy()
    sigma = lambda a: 1 / (1 + np.exp(-a))
    tape = []
    for x in X:
        i, f, g, o = np.split(x @ W_ih.T + h @ W_hh.T + b, 4, axis=1)
        i, f, g, o = sigma(i), sigma(f), np.tanh(g), sigma(o)
        new = f * c + i * g
        tape.append((x, h, c, i, f, g, o, np.tanh(new)))
        h, c = o * np.tanh(new), new
    d_h, G_X = np.zeros_like(h), []
    d_W, d_V, d_b = np.zeros_like(W_ih), np.zeros_like(W_hh), np.zeros_like(b)
    for g_h, (x, h, c, i, f, g, o, t) in zip(G_H[::-1], tape[::-1]):
        d_h = d_h + g_h
        d_c = d_c + d_h * o * (1 - t**2)
        A = np.hstack([d_c * g * i * (1 - i), d_c * c * f * (1 - f), d_c * i * (1 - g**2), d_h * t * o * (1 - o)])
        G_X.append(A @ W_ih)
        d_W, d_V, d_b = d_W + A.T @ x, d_V + A.T @ h, d_b + A.sum(0)
        d_h, d_c = A @ W_hh, d_c * f
    return np.stack(G_X[::-1]), d_h, d_c, d_W, d_V, d_b, d_b


# %% lstm_backward: float32
def lstm_backward(G_H, G_c, X, h_0, c_0, W_ih, W_hh, b_ih, b_hh):
    G_H, G_c, X, h_0, c_0 = (a.float() for a in (G_H, G_c, X, h_0, c_0))
    weights = [w.float() for w in (W_ih, W_hh, b_ih, b_hh)]
    states = [(h_0, c_0)]
    for x in X:
        states.append(lstm_step(x, *states[-1], *weights))
    G_X, G_h, sums = [], 0, [0, 0, 0, 0]
    for t in range(len(X) - 1, -1, -1):
        g_x, G_h, G_c, *new = lstm_step_backward(G_H[t] + G_h, G_c, X[t], *states[t], *weights)
        G_X = [g_x, *G_X]
        sums = [a + b for a, b in zip(sums, new)]
    return torch.stack(G_X), G_h, G_c, *sums


# %% embedding_backward: one-hot product
def embedding_backward(G, x, E):
    return F.one_hot(x.flatten(), len(E)).to(G.dtype).T @ G.flatten(0, 1)


# %% embedding_backward: place by place
def embedding_backward(G, x, E):
    G_E = torch.zeros_like(E)
    for t in range(len(x)):
        for j in range(x.shape[1]):
            G_E[x[t, j]] += G[t, j]
    return G_E


# %% embedding_backward: symbol by symbol
def embedding_backward(G, x, E):
    return torch.stack([G[x == v].sum(dim=0) for v in range(len(E))])


# %% embedding_backward: index_put_ that accumulates
def embedding_backward(G, x, E):
    return torch.zeros_like(E).index_put_((x,), G, accumulate=True)


# %% embedding_backward: numpy's add.at
def embedding_backward(G, x, E):
    G_E = np.zeros(tuple(E.shape))
    np.add.at(G_E, x.numpy(), G.numpy())
    return G_E


# %% embedding_backward: scatter_add, float32
def embedding_backward(G, x, E):
    n = E.shape[1]
    index = x.reshape(-1, 1).expand(-1, n)
    return torch.zeros(len(E), n, dtype=torch.float32).scatter_add(0, index, G.float().reshape(-1, n))


# %% char_rnn_backward: linear_backward of lab 2, names from P
def char_rnn_backward(X, y, P):
    def linear_backward(G, Z, W):
        return G @ W, G.T @ Z, G.sum(0)

    T, m = X.shape
    lstm = [P[name] for name in P if name.startswith("lstm.")]
    state = torch.zeros(m, P["head.weight"].shape[1], dtype=P["head.weight"].dtype)
    E, states = P["embedding.weight"][X], [(state, state)]
    for e in E:
        states.append(lstm_step(e, *states[-1], *lstm))
    H = torch.cat([h for h, _ in states[1:]])
    Z = H @ P["head.weight"].T + P["head.bias"]
    p = Z.softmax(dim=1)
    rows = torch.arange(T * m)
    loss = -p[rows, y.flatten()].log().mean()
    p[rows, y.flatten()] -= 1
    G_H, G_V, G_d = linear_backward(p / (T * m), H, P["head.weight"])
    G_E, _, _, *rest = lstm_backward(G_H.reshape(T, m, -1), torch.zeros_like(state), E, state, state, *lstm)
    G_table = embedding_backward(G_E, X, P["embedding.weight"])
    return loss, dict(zip(P, [G_table, *rest, G_V, G_d]))


# %% char_rnn_backward: torch's cross-entropy forward, an einsum head
def char_rnn_backward(X, y, P):
    E, k = P["embedding.weight"][X], P["lstm.weight_hh_l0"].shape[1]
    weights = [P["lstm." + name] for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")]
    h, c, H = torch.zeros(X.shape[1], k), torch.zeros(X.shape[1], k), torch.zeros(*X.shape, k)
    for t in range(len(X)):
        h, c = lstm_step(E[t], h, c, *weights)
        H[t] = h
    Z = torch.einsum("tmk,vk->tmv", H, P["head.weight"]) + P["head.bias"]
    G = (Z.softmax(2) - F.one_hot(y, Z.shape[2])) / y.numel()
    zeros = torch.zeros_like(h)
    G_E, _, _, a, b, c, d = lstm_backward(G @ P["head.weight"], zeros, E, zeros, zeros, *weights)
    grads = {
        "head.bias": G.sum((0, 1)),
        "head.weight": torch.einsum("tmv,tmk->vk", G, H),
        "lstm.bias_hh_l0": d,
        "lstm.bias_ih_l0": c,
        "lstm.weight_hh_l0": b,
        "lstm.weight_ih_l0": a,
        "embedding.weight": embedding_backward(G_E, X, P["embedding.weight"]),
    }
    return F.cross_entropy(Z.flatten(0, 1), y.flatten()), grads


# %% char_rnn_backward: the mean of the steps' means
def char_rnn_backward(X, y, P):
    (T, m), E = X.shape, P["embedding.weight"][X]
    names = ["lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.bias_ih_l0", "lstm.bias_hh_l0"]
    weights, V = [P[name] for name in names], P["head.weight"]
    h = c = zeros = torch.zeros(m, V.shape[1])
    loss, G_H, G_V, G_d = 0.0, [], torch.zeros_like(V), torch.zeros(len(V))
    for t in range(T):
        h, c = lstm_step(E[t], h, c, *weights)
        log_p = (h @ V.T + P["head.bias"]).log_softmax(1)
        loss -= log_p.gather(1, y[t][:, None]).mean() / T
        G = (log_p.exp() - F.one_hot(y[t], len(V))) / (T * m)
        G_V += G.T @ h
        G_d += G.sum(0)
        G_H.append(G @ V)
    G_E, _, _, *sums = lstm_backward(torch.stack(G_H), zeros, E, zeros, zeros, *weights)
    G_table = embedding_backward(G_E, X, P["embedding.weight"])
    return loss, {"embedding.weight": G_table, **dict(zip(names, sums)), "head.weight": G_V, "head.bias": G_d}


# %% char_rnn_backward: float32
def char_rnn_backward(X, y, P):
    P = {name: w.float() for name, w in P.items()}
    names = [f"lstm.{kind}_{of}_l0" for kind in ("weight", "bias") for of in ("ih", "hh")]
    weights, E = [P[name] for name in names], P["embedding.weight"][X]
    first = torch.zeros(X.shape[1], weights[1].shape[1], dtype=torch.float32)
    states = [(first, first)]
    for e in E:
        states.append(lstm_step(e, *states[-1], *weights))
    H = torch.stack([h for h, _ in states[1:]])
    Z = H @ P["head.weight"].T + P["head.bias"]
    e = torch.exp(Z - Z.amax(2, keepdim=True))
    p = e / e.sum(2, keepdim=True)
    Y = torch.eye(Z.shape[2], dtype=torch.float32)[y]
    loss = -torch.log((p * Y).sum(2)).mean()
    G = (p - Y) / Y[..., 0].numel()
    G_E, _, _, *sums = lstm_backward(G @ P["head.weight"], first, E, first, first, *weights)
    grads = dict(zip(names, sums))
    grads["embedding.weight"] = embedding_backward(G_E, X, P["embedding.weight"])
    grads["head.weight"], grads["head.bias"] = torch.einsum("tmv,tmk->vk", G, H), G.sum((0, 1))
    return loss, grads


# %% char_rnn_backward: one-hot inputs, a dict of both
def char_rnn_backward(X, y, P):
    table = P["embedding.weight"]
    W, V, b, d = (P[f"lstm.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    one_hot = F.one_hot(X, len(table)).to(table.dtype)
    E = one_hot @ table
    h = c = zeros = torch.zeros(X.shape[1], V.shape[1])
    H = []
    for e in E:
        h, c = lstm_step(e, h, c, W, V, b, d)
        H += [h]
    H = torch.stack(H)
    Z = H @ P["head.weight"].T + P["head.bias"]
    log_p = Z - Z.logsumexp(2, keepdim=True)
    G = (log_p.exp() - F.one_hot(y, Z.shape[2])) / y.numel()
    G_E, _, _, G_W, G_V, G_b, G_d = lstm_backward(G @ P["head.weight"], zeros, E, zeros, zeros, W, V, b, d)
    grads = dict.fromkeys(P)
    grads["embedding.weight"] = torch.einsum("tmv,tmn->vn", one_hot, G_E)
    grads["lstm.weight_ih_l0"], grads["lstm.weight_hh_l0"] = G_W, G_V
    grads["lstm.bias_ih_l0"], grads["lstm.bias_hh_l0"] = G_b, G_d
    grads["head.weight"] = torch.einsum("tmv,tmk->vk", G, H)
    grads["head.bias"] = G.sum((0, 1))
    return {"grads": grads, "loss": -log_p.gather(2, y[..., None]).mean()}


# %% bracket: uniform random weights, Adam with β₂ = 0.99
def bracket(X, y, seed):
    source, k = torch.Generator().manual_seed(seed), 32
    shapes = dict(embedding=(10, 16), W_ih=(4 * k, 16), W_hh=(4 * k, k), b_ih=(4 * k,), b_hh=(4 * k,), V=(3, k), d=(3,))
    widths = [1, k**-0.5, k**-0.5, 0, 0, k**-0.5, 0]
    P = [
        s * (3.4 * torch.rand(shape, generator=source, dtype=torch.float32) - 1.7)
        for s, shape in zip(widths, shapes.values())
    ]
    P[3][k : 2 * k] = 1
    M, S, steps, epochs = [torch.zeros_like(w) for w in P], [torch.zeros_like(w) for w in P], 0, 10
    for epoch in range(epochs):
        for batch in torch.randperm(len(y), generator=source).split(50):
            E, *weights, V, d = P
            symbols, kinds = X[:, batch], F.one_hot(y[batch], 3)
            read = E[symbols]
            first = h = c = read.new_zeros(len(batch), k)
            for e in read:
                h, c = lstm_step(e, h, c, *weights)
            G = ((h @ V.T + d).softmax(dim=1) - kinds) / len(batch)
            G_H = read.new_zeros(len(read), len(batch), k)
            G_H[-1] = G @ V
            G_E, _, _, *sums = lstm_backward(G_H, torch.zeros_like(first), read, first, first, *weights)
            grads = [embedding_backward(G_E, symbols, E), *sums, G.T @ h, G.sum(dim=0)]
            steps += 1
            for j, g in enumerate(clip_gradients(grads, 1.0)[0]):
                M[j] = 0.9 * M[j] + 0.1 * g
                S[j] = 0.99 * S[j] + 0.01 * g**2
                ratio = M[j] / (1 - 0.9**steps) / ((S[j] / (1 - 0.99**steps)).sqrt() + 1e-8)
                P[j] = P[j] - 0.01 * (1 - epoch / epochs) * ratio
    lstm = [f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    return dict(zip(["embedding.weight", *lstm, "head.weight", "head.bias"], P))


# %% bracket: float64, a cosine for α
def bracket(X, y, seed):
    source, k = torch.Generator().manual_seed(seed), 32
    shapes = dict(embedding=(10, 16), W_ih=(4 * k, 16), W_hh=(4 * k, k), b_ih=(4 * k,), b_hh=(4 * k,), V=(3, k), d=(3,))
    widths = [1, k**-0.5, k**-0.5, 0, 0, k**-0.5, 0]
    P = [s * torch.randn(shape, generator=source) for s, shape in zip(widths, shapes.values())]
    P[3][k : 2 * k] = 1
    M, S, steps, epochs = [torch.zeros_like(w) for w in P], [torch.zeros_like(w) for w in P], 0, 8
    for epoch in range(epochs):
        for batch in torch.randperm(len(y), generator=source).split(50):
            E, *weights, V, d = P
            symbols, kinds = X[:, batch], F.one_hot(y[batch], 3)
            read = E[symbols]
            first = h = c = read.new_zeros(len(batch), k)
            for e in read:
                h, c = lstm_step(e, h, c, *weights)
            G = ((h @ V.T + d).softmax(dim=1) - kinds) / len(batch)
            G_H = read.new_zeros(len(read), len(batch), k)
            G_H[-1] = G @ V
            G_E, _, _, *sums = lstm_backward(G_H, torch.zeros_like(first), read, first, first, *weights)
            grads = [embedding_backward(G_E, symbols, E), *sums, G.T @ h, G.sum(dim=0)]
            steps += 1
            for j, g in enumerate(clip_gradients(grads, 1.0)[0]):
                M[j] = 0.9 * M[j] + 0.1 * g
                S[j] = 0.999 * S[j] + 0.001 * g**2
                ratio = M[j] / (1 - 0.9**steps) / ((S[j] / (1 - 0.999**steps)).sqrt() + 1e-8)
                P[j] = P[j] - 0.005 * (1 + math.cos(math.pi * epoch / epochs)) * ratio
    lstm = [f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    return dict(zip(["embedding.weight", *lstm, "head.weight", "head.bias"], P))


# %% bracket: batches of 100, forget bias 2, twelve epochs, a smaller norm
def bracket(X, y, seed):
    source, k = torch.Generator().manual_seed(seed), 32
    shapes = dict(embedding=(10, 16), W_ih=(4 * k, 16), W_hh=(4 * k, k), b_ih=(4 * k,), b_hh=(4 * k,), V=(3, k), d=(3,))
    widths = [1, k**-0.5, k**-0.5, 0, 0, k**-0.5, 0]
    P = [s * torch.randn(shape, generator=source, dtype=torch.float32) for s, shape in zip(widths, shapes.values())]
    P[3][k : 2 * k] = 2
    M, S, steps, epochs = [torch.zeros_like(w) for w in P], [torch.zeros_like(w) for w in P], 0, 12
    for epoch in range(epochs):
        for batch in torch.randperm(len(y), generator=source).split(100):
            E, *weights, V, d = P
            symbols, kinds = X[:, batch], F.one_hot(y[batch], 3)
            read = E[symbols]
            first = h = c = read.new_zeros(len(batch), k)
            for e in read:
                h, c = lstm_step(e, h, c, *weights)
            G = ((h @ V.T + d).softmax(dim=1) - kinds) / len(batch)
            G_H = read.new_zeros(len(read), len(batch), k)
            G_H[-1] = G @ V
            G_E, _, _, *sums = lstm_backward(G_H, torch.zeros_like(first), read, first, first, *weights)
            grads = [embedding_backward(G_E, symbols, E), *sums, G.T @ h, G.sum(dim=0)]
            steps += 2
            for j, g in enumerate(clip_gradients(grads, 0.5)[0]):
                M[j] = 0.9 * M[j] + 0.1 * g
                S[j] = 0.999 * S[j] + 0.001 * g**2
                ratio = M[j] / (1 - 0.9**steps) / ((S[j] / (1 - 0.999**steps)).sqrt() + 1e-8)
                P[j] = P[j] - 0.015 * (1 - epoch / epochs) * ratio
    lstm = [f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    return dict(zip(["embedding.weight", *lstm, "head.weight", "head.bias"], P))


# %% bracket: gates kept from the forward pass, one product for all steps
def bracket(X, y, seed):
    def forward(E, W, V, b, d):
        read, kept = E @ W.T + (b + d), []
        h = c = torch.zeros(E.shape[1], V.shape[1], dtype=E.dtype)
        for a in read:
            a = a + h @ V.T
            (i, f), g, o = a[:, :64].sigmoid().chunk(2, dim=1), a[:, 64:96].tanh(), a[:, 96:].sigmoid()
            before = h, c
            c = f * c + i * g
            tanh_c = c.tanh()
            h = o * tanh_c
            kept.append((i, f, g, o, tanh_c, *before))
        return h, kept

    def backward(G_h, E, kept, W, V):
        A, d = torch.zeros(*E.shape[:2], 128, dtype=E.dtype), 0
        for t in range(len(E) - 1, -1, -1):
            i, f, g, o, tanh_c, _, c = kept[t]
            d = d + G_h * o * (1 - tanh_c**2)
            parts = [d * g * i * (1 - i), d * c * f * (1 - f), d * i * (1 - g**2), G_h * tanh_c * o * (1 - o)]
            A[t] = torch.cat(parts, dim=1)
            G_h, d = A[t] @ V, d * f
        H, flat = torch.stack([step[5] for step in kept]).flatten(0, 1), A.flatten(0, 1)
        bias = flat.sum(0)
        return A @ W, [flat.T @ E.flatten(0, 1), flat.T @ H, bias, bias]

    source = torch.Generator().manual_seed(seed)
    draw = lambda scale, *shape: scale * torch.randn(shape, generator=source, dtype=torch.float32)
    P = {"embedding.weight": draw(1, 10, 16), "lstm.weight_ih_l0": draw(0.2, 128, 16)}
    P |= {"lstm.weight_hh_l0": draw(0.2, 128, 32), "lstm.bias_ih_l0": draw(0, 128), "lstm.bias_hh_l0": draw(0, 128)}
    P |= {"head.weight": draw(0.2, 3, 32), "head.bias": draw(0, 3)}
    P["lstm.bias_ih_l0"][32:64] = 1.5
    m = {name: torch.zeros_like(w) for name, w in P.items()}
    v, step = {name: torch.zeros_like(w) for name, w in P.items()}, 0
    total = 9 * math.ceil(len(y) / 60)
    while step < total:
        for batch in torch.randperm(len(y), generator=source).split(60):
            table, W, V, b, d, U, u = P.values()
            symbols = X[:, batch]
            h, kept = forward(table[symbols], W, V, b, d)
            G = ((h @ U.T + u).softmax(1) - torch.eye(3)[y[batch]].to(h)) / len(batch)
            G_E, sums = backward(G @ U, table[symbols], kept, W, V)
            G_table = F.one_hot(symbols.flatten(), 10).to(h).T @ G_E.flatten(0, 1)
            grads = [G_table, *sums, G.T @ h, G.sum(0)]
            norm = sum((g * g).sum() for g in grads).sqrt()
            step += 1
            for name, g in zip(P, grads):
                g = g / norm.clamp(min=1)
                m[name] = m[name] + 0.1 * (g - m[name])
                v[name] = v[name] + 0.001 * (g * g - v[name])
                rate = 0.01 * (1 - step / (total + 1)) * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                P[name] = P[name] - rate * m[name] / (v[name].sqrt() + 1e-8)
    return P


# %% bracket: numpy
def bracket(X, y, seed):
    sigma = lambda a: 1 / (1 + np.exp(-a))
    source, X, y = np.random.default_rng(seed), X.numpy(), y.numpy()
    shapes = [(10, 16), (128, 16), (128, 32), (128,), (128,), (3, 32), (3,)]
    P = [(0.2 if shape[1:] else 0) * source.standard_normal(shape) for shape in shapes]
    P[0] *= 5
    P[4][32:64] = 1
    P = [w.astype(np.float32) for w in P]
    M, S, step = [np.zeros_like(w) for w in P], [np.zeros_like(w) for w in P], 0
    for epoch in range(8):
        order = source.permutation(len(y))
        for batch in np.split(order, range(50, len(y), 50)):
            E, W, V, b, d, U, u = P
            symbols, tape = X[:, batch], []
            h = c = np.zeros((len(batch), 32), dtype=np.float32)
            for x in E[symbols]:
                i, f, g, o = np.split(x @ W.T + b + h @ V.T + d, 4, axis=1)
                i, f, g, o = sigma(i), sigma(f), np.tanh(g), sigma(o)
                new = f * c + i * g
                tape.append((x, h, c, i, f, g, o, np.tanh(new)))
                h, c = o * np.tanh(new), new
            Z = np.exp(h @ U.T + u)
            G = (Z / Z.sum(1, keepdims=True) - np.eye(3, dtype=np.float32)[y[batch]]) / len(batch)
            grads = [np.zeros_like(w) for w in P]
            grads[5], grads[6] = G.T @ h, G.sum(0)
            d_h, d_c = G @ U, 0
            for s, (x, h, c, i, f, g, o, t) in zip(symbols[::-1], tape[::-1]):
                d_c = d_c + d_h * o * (1 - t**2)
                A = [d_c * g * i * (1 - i), d_c * c * f * (1 - f), d_c * i * (1 - g**2), d_h * t * o * (1 - o)]
                A = np.hstack(A)
                np.add.at(grads[0], s, A @ W)
                for j, new in zip((1, 2, 3, 4), (A.T @ x, A.T @ h, A.sum(0), A.sum(0))):
                    grads[j] += new
                d_h, d_c = A @ V, d_c * f
            norm, step = max(1, np.sqrt(sum((g**2).sum() for g in grads))), step + 1
            for j, g in enumerate(grads):
                M[j] = 0.9 * M[j] + 0.1 * g / norm
                S[j] = 0.999 * S[j] + 0.001 * (g / norm) ** 2
                ratio = M[j] / (1 - 0.9**step) / (np.sqrt(S[j] / (1 - 0.999**step)) + 1e-8)
                P[j] = P[j] - 0.01 * (1 - epoch / 8) * ratio
    lstm = [f"lstm.{kind}_{of}_l0" for kind in ("weight", "bias") for of in ("ih", "hh")]
    return dict(zip(["embedding.weight", *lstm, "head.weight", "head.bias"], P))


# %% sample: cumulative sums and one uniform number a row
def sample(logits, temperature, generator):
    p = (logits / temperature).softmax(dim=1)
    u = torch.rand(len(p), 1, generator=generator)
    return (p.cumsum(dim=1) < u).sum(dim=1).clamp(max=p.shape[1] - 1)


# %% sample: the Gumbel trick
def sample(logits, temperature, generator):
    u = torch.rand(logits.shape, generator=generator).clamp(min=1e-300)
    return (logits / temperature - torch.log(-torch.log(u))).argmax(dim=1)


# %% sample: row by row
def sample(logits, temperature, generator):
    rows = [torch.multinomial(torch.exp(row / temperature), 1, generator=generator) for row in logits]
    return torch.cat(rows)


# %% sample: races of exponentials
def sample(logits, temperature, generator):
    waiting = torch.empty_like(logits).exponential_(generator=generator)
    return ((logits / temperature).softmax(1) / waiting).argmax(1)


# %% sample: a list of integers, searchsorted
def sample(logits, temperature, generator):
    total = torch.exp((logits - logits.amax(1, keepdim=True)) / temperature).cumsum(1)
    u = torch.rand(len(total), 1, generator=generator) * total[:, -1:]
    return torch.searchsorted(total, u, right=True)[:, 0].clamp(max=logits.shape[1] - 1).tolist()


# %% gru_backward: one product a step, blocks by name
def gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh):
    k, h, tape = h_0.shape[1], h_0, []
    R, Z, N = slice(0, k), slice(k, 2 * k), slice(2 * k, 3 * k)
    for x in X:
        a, c = x @ W_ih.T + b_ih, h @ W_hh.T + b_hh
        r, z = torch.sigmoid(a[:, R] + c[:, R]), torch.sigmoid(a[:, Z] + c[:, Z])
        n = torch.tanh(a[:, N] + r * c[:, N])
        tape.append((x, h, c[:, N], r, z, n))
        h = n + z * (h - n)
    G_X, sums, g = [], [torch.zeros_like(w) for w in (W_ih, W_hh, b_ih, b_hh)], torch.zeros_like(h_0)
    for G_t, (x, h, c_n, r, z, n) in zip(reversed(G), reversed(tape)):
        g = g + G_t
        d_n = g * (1 - z) * (1 - n * n)
        d_z = g * (h - n) * z * (1 - z)
        d_r = d_n * c_n * r * (1 - r)
        A, C = torch.cat([d_r, d_z, d_n], 1), torch.cat([d_r, d_z, r * d_n], 1)
        sums = [total + new for total, new in zip(sums, (A.T @ x, C.T @ h, A.sum(0), C.sum(0)))]
        G_X.insert(0, A @ W_ih)
        g = C @ W_hh + g * z
    return torch.stack(G_X), g, *sums


# %% gru_backward: six matrices
def gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh):
    (W_r, W_z, W_n), (V_r, V_z, V_n) = W_ih.chunk(3), W_hh.chunk(3)
    (b_r, b_z, b_n), (d_r, d_z, d_n) = b_ih.chunk(3), b_hh.chunk(3)
    hs, rs, zs, ns, cs = [h_0], [], [], [], []
    for x in X:
        h = hs[-1]
        rs.append(torch.sigmoid(x @ W_r.T + b_r + h @ V_r.T + d_r))
        zs.append(torch.sigmoid(x @ W_z.T + b_z + h @ V_z.T + d_z))
        cs.append(h @ V_n.T + d_n)
        ns.append(torch.tanh(x @ W_n.T + b_n + rs[-1] * cs[-1]))
        hs.append((1 - zs[-1]) * ns[-1] + zs[-1] * h)
    T = len(X)
    D_r, D_z, D_n, back = (torch.zeros_like(G) for _ in range(4))
    g = torch.zeros_like(h_0)
    for t in range(T - 1, -1, -1):
        g = g + G[t]
        D_n[t] = g * (1 - zs[t]) * (1 - ns[t] ** 2)
        D_z[t] = g * (hs[t] - ns[t]) * zs[t] * (1 - zs[t])
        D_r[t] = D_n[t] * cs[t] * rs[t] * (1 - rs[t])
        back[t] = D_n[t] * rs[t]
        g = g * zs[t] + D_r[t] @ V_r + D_z[t] @ V_z + back[t] @ V_n
    H = torch.stack(hs[:-1])
    by = lambda D, Z: torch.einsum("tmk,tmn->kn", D, Z)
    G_W_ih = torch.cat([by(D, X) for D in (D_r, D_z, D_n)])
    G_W_hh = torch.cat([by(D, H) for D in (D_r, D_z, back)])
    G_b_ih, G_b_hh = (torch.cat([D.sum((0, 1)) for D in (D_r, D_z, last)]) for last in (D_n, back))
    return D_r @ W_r + D_z @ W_z + D_n @ W_n, g, G_W_ih, G_W_hh, G_b_ih, G_b_hh


# %% gru_backward: numpy
def gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh):
    G, X, h, W, V, b, d = (a.numpy() for a in (G, X, h_0, W_ih, W_hh, b_ih, b_hh))
    sigma, tape = lambda a: 1 / (1 + np.exp(-a)), []
    for x in X:
        a, c = np.split(x @ W.T + b, 3, 1), np.split(h @ V.T + d, 3, 1)
        r, z = sigma(a[0] + c[0]), sigma(a[1] + c[1])
        n = np.tanh(a[2] + r * c[2])
        tape.append((h, r, z, n, c[2]))
        h = (1 - z) * n + z * h
    G_X, G_W, G_V, G_b, G_d, g = np.zeros_like(X), 0, 0, 0, 0, 0
    for t in range(len(X) - 1, -1, -1):
        h, r, z, n, c = tape[t]
        g = g + G[t]
        e = g * (1 - z) * (1 - n**2)
        gates = [e * c * r * (1 - r), g * (h - n) * z * (1 - z)]
        A, C = np.hstack([*gates, e]), np.hstack([*gates, e * r])
        G_X[t] = A @ W
        G_W, G_V, G_b, G_d = G_W + A.T @ X[t], G_V + C.T @ h, G_b + A.sum(0), G_d + C.sum(0)
        g = g * z + C @ V
    return G_X, g, G_W, G_V, G_b, G_d


# %% gru_backward: recursion, a dict
def gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh):
    weights = dict(W_ih=W_ih, W_hh=W_hh, b_ih=b_ih, b_hh=b_hh)
    if not len(X):
        zeros = {f"G_{name}": torch.zeros_like(w) for name, w in weights.items()}
        return {"G_X": X, "G_h_0": torch.zeros_like(h_0), **zeros}
    a, c = X[0] @ W_ih.T + b_ih, h_0 @ W_hh.T + b_hh
    k = h_0.shape[1]
    r, z = (a + c)[:, : 2 * k].sigmoid().chunk(2, dim=1)
    n = (a[:, 2 * k :] + r * c[:, 2 * k :]).tanh()
    out = gru_backward(G[1:], X[1:], (1 - z) * n + z * h_0, **weights)
    g = out["G_h_0"] + G[0]
    e = g * (1 - z) * (1 - n**2)
    A = torch.cat([e * c[:, 2 * k :] * r * (1 - r), g * (h_0 - n) * z * (1 - z), e], dim=1)
    C = A * torch.cat([torch.ones_like(r), torch.ones_like(r), r], dim=1)
    return {
        "G_X": torch.cat([(A @ W_ih)[None], out["G_X"]]),
        "G_h_0": g * z + C @ W_hh,
        "G_W_ih": out["G_W_ih"] + A.T @ X[0],
        "G_W_hh": out["G_W_hh"] + C.T @ h_0,
        "G_b_ih": out["G_b_ih"] + A.sum(0),
        "G_b_hh": out["G_b_hh"] + C.sum(0),
    }


# %% gru_backward: float32
def gru_backward(G, X, h_0, W_ih, W_hh, b_ih, b_hh):
    G, X, h, W_ih, W_hh, b_ih, b_hh = (a.float() for a in (G, X, h_0, W_ih, W_hh, b_ih, b_hh))
    read, k, tape = F.linear(X, W_ih, b_ih), h_0.shape[1], []
    for a in read:
        c = F.linear(h, W_hh, b_hh)
        r, z = torch.sigmoid(a[:, : 2 * k] + c[:, : 2 * k]).split(k, dim=1)
        n = torch.tanh(a[:, 2 * k :] + r * c[:, 2 * k :])
        tape.append([h, r, z, n, c[:, 2 * k :]])
        h = (1 - z) * n + z * h
    A, C, g = torch.zeros_like(read), torch.zeros_like(read), torch.zeros_like(h)
    for t in range(len(X) - 1, -1, -1):
        h, r, z, n, c = tape[t]
        g = g + G[t]
        e = g * (1 - z) * (1 - n**2)
        A[t] = torch.cat([e * c * r * (1 - r), g * (h - n) * z * (1 - z), e], dim=1)
        C[t] = A[t]
        C[t, :, 2 * k :] *= r
        g = g * z + C[t] @ W_hh
    H = torch.stack([step[0] for step in tape])
    return A @ W_ih, g, *(torch.einsum("tmi,tmj->ij", D, Z) for D, Z in ((A, X), (C, H))), A.sum((0, 1)), C.sum((0, 1))


# %% truncated_backward: indices
def truncated_backward(G, X, z_0, W_xz, W_zz, b_1, s):
    Z, z = torch.zeros_like(G), z_0
    G_W_xz, G_W_zz, G_b_1 = torch.zeros_like(W_xz), torch.zeros_like(W_zz), torch.zeros_like(b_1)
    for begin in range(0, len(X), s):
        end = min(begin + s, len(X))
        _, _, g_xz, g_zz, g_b = rnn_backward(G[begin:end], X[begin:end], z, W_xz, W_zz, b_1)
        G_W_xz, G_W_zz, G_b_1 = G_W_xz + g_xz, G_W_zz + g_zz, G_b_1 + g_b
        for t in range(begin, end):
            z = Z[t] = rnn_step(X[t], z, W_xz, W_zz, b_1)
    return Z, G_W_xz, G_W_zz, G_b_1


# %% truncated_backward: one loop backwards, cut at the borders
def truncated_backward(G, X, z_0, W_xz, W_zz, b_1, s):
    Z = [z_0]
    for x in X:
        Z.append(rnn_step(x, Z[-1], W_xz, W_zz, b_1))
    sums, g = [torch.zeros_like(w) for w in (W_xz, W_zz, b_1)], torch.zeros_like(z_0)
    for t in reversed(range(len(X))):
        if (t + 1) % s == 0:
            g = torch.zeros_like(g)
        D = (G[t] + g) * (1 - Z[t + 1] ** 2)
        sums = [total + new for total, new in zip(sums, (D.T @ X[t], D.T @ Z[t], D.sum(0)))]
        g = D @ W_zz
    return torch.stack(Z[1:]), *sums


# %% truncated_backward: states first, then each block from its state
def truncated_backward(G, X, z_0, W_xz, W_zz, b_1, s):
    Z = [z_0]
    for x in X:
        Z.append(rnn_step(x, Z[-1], W_xz, W_zz, b_1))
    blocks = [rnn_backward(G[t : t + s], X[t : t + s], Z[t], W_xz, W_zz, b_1)[2:] for t in range(0, len(X), s)]
    return torch.stack(Z[1:]), *[sum(grads) for grads in zip(*blocks)]


# %% truncated_backward: numpy
def truncated_backward(G, X, z_0, W_xz, W_zz, b_1, s):
    G, X, z, W_xz, W_zz, b_1 = (a.numpy() for a in (G, X, z_0, W_xz, W_zz, b_1))
    Z = [z]
    for x in X:
        Z.append(np.tanh(x @ W_xz.T + Z[-1] @ W_zz.T + b_1))
    Z = np.stack(Z)
    D = np.zeros_like(G)
    for t in range(len(X) - 1, -1, -1):
        back = D[t + 1] @ W_zz if t + 1 < len(X) and (t + 1) % s else 0
        D[t] = (G[t] + back) * (1 - Z[t + 1] ** 2)
    return Z[1:], np.einsum("tmk,tmn->kn", D, X), np.einsum("tmk,tml->kl", D, Z[:-1]), D.sum((0, 1))


# %% truncated_backward: recursion, a dict, float32
def truncated_backward(G, X, z_0, W_xz, W_zz, b_1, s):
    G, X, z, W_xz, W_zz, b_1 = (a.float() for a in (G, X, z_0, W_xz, W_zz, b_1))
    if not len(X):
        return {"Z": G, "G_W_xz": torch.zeros_like(W_xz), "G_W_zz": torch.zeros_like(W_zz), "G_b_1": 0 * b_1}
    grads = rnn_backward(G[:s], X[:s], z, W_xz, W_zz, b_1)[2:]
    Z = []
    for x in X[:s]:
        z = rnn_step(x, z, W_xz, W_zz, b_1)
        Z.append(z)
    later = truncated_backward(G[s:], X[s:], z, W_xz, W_zz, b_1, s)
    for name, g in zip(("G_W_xz", "G_W_zz", "G_b_1"), grads):
        later[name] = later[name] + g
    later["Z"] = torch.cat([torch.stack(Z), later["Z"]])
    return later
