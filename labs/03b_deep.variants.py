"""Right answers of the lab `deep` in the many ways that people write them: each must earn all points.

A cell's title is `question: how it is written`; it runs after all solutions of the lab, in their namespace.
"""
# ruff: noqa: F811, F821


# %% vgg_column: torch's own layers, without memory
def vgg_column(column, C, H, W):
    nn, Z, shapes, counts = torch.nn, torch.zeros(1, C, H, W, device="meta"), [], []
    for row in column:
        kind, *n = row.split("-")
        layer = nn.Identity()
        if kind.startswith("conv"):
            k = int(kind.removeprefix("conv"))
            layer = nn.Conv2d(Z.shape[1], int(n[0]), k, padding="same", device="meta")
        elif kind == "maxpool":
            layer = nn.MaxPool2d(2, 2)
        elif kind == "FC":
            layer = nn.Conv2d(Z.shape[1], int(n[0]), tuple(Z.shape[2:]), device="meta")
        Z = layer(Z)
        shapes.append(tuple(Z.shape[1:]))
        counts.append(sum(p.numel() for p in layer.parameters()))
    return shapes, counts


# %% vgg_column: regular expressions, numpy
def vgg_column(column, C, H, W):
    import re

    shapes, counts = np.zeros((len(column), 3), dtype=int), np.zeros(len(column), dtype=int)
    for i, row in enumerate(column):
        if found := re.match(r"conv(\d+)-(\d+)", row):
            k, n = map(int, found.groups())
            counts[i], C = n * (k * k * C + 1), n
        elif found := re.match(r"FC-(\d+)", row):
            n = int(found[1])
            counts[i], (C, H, W) = n * (C * H * W + 1), (n, 1, 1)
        elif row == "maxpool":
            H, W = H >> 1, W >> 1
        shapes[i] = C, H, W
    return shapes, counts


# %% vgg_column: match, a dict
def vgg_column(column, C, H, W):
    found = {"counts": [], "shapes": []}
    for row in column:
        weights = biases = 0
        match row.split("-"):
            case ["FC", n]:
                weights, biases = C * H * W * int(n), int(n)
                C, H, W = int(n), 1, 1
            case ["maxpool"]:
                H, W = (H - 2) // 2 + 1, (W - 2) // 2 + 1
            case [conv, n] if conv[:4] == "conv":
                weights, biases = C * int(n) * int(conv[-1]) ** 2, int(n)
                C = int(n)
        found["shapes"] += [[C, H, W]]
        found["counts"] += [weights + biases]
    return found


# %% vgg_column: recursion
def vgg_column(column, C, H, W):
    if not column:
        return [], []
    row, *rest = column
    n, count = C, 0
    if row[:2] == "FC":
        n = int(row[3:])
        count, H, W = (C * H * W + 1) * n, 1, 1
    elif row[:4] == "conv":
        k, n = (int(part) for part in row[4:].split("-"))
        count = (C * k * k + 1) * n
    elif row == "maxpool":
        H, W = H // 2, W // 2
    shapes, counts = vgg_column(rest, n, H, W)
    return [(n, H, W), *shapes], [count, *counts]


# %% vgg_column: tensors of floats
def vgg_column(column, C, H, W):
    shape, shapes, counts = torch.tensor([C, H, W]).double(), [], []
    for row in column:
        kind, n = [*row.split("-"), "0"][:2]
        count = 0
        if "conv" in kind:
            count = (shape[0] * float(kind[4:]) ** 2 + 1) * int(n)
            shape = torch.tensor([float(n), shape[1], shape[2]])
        if kind == "FC":
            count = (shape.prod() + 1) * int(n)
            shape = torch.tensor([float(n), 1.0, 1.0])
        if kind == "maxpool":
            shape = torch.cat([shape[:1], (shape[1:] / 2).floor()])
        shapes.append(shape)
        counts.append(float(count))
    return torch.stack(shapes), torch.tensor(counts)


# %% vgg_column: shapes first, counts from them
def vgg_column(column, C, H, W):
    shapes = [(C, H, W)]
    for row in column:
        c, h, w = shapes[-1]
        if row == "maxpool":
            h, w = h // 2, w // 2
        elif row.startswith("conv"):
            c = int(row.split("-")[1])
        elif row.startswith("FC"):
            c, h, w = int(row.split("-")[1]), 1, 1
        shapes.append((c, h, w))

    def count(row, before, after):
        if row.startswith("conv"):
            return after[0] + after[0] * before[0] * int(row[4]) ** 2
        return after[0] + after[0] * math.prod(before) if row.startswith("FC") else 0

    return shapes[1:], [count(*values) for values in zip(column, shapes[:-1], shapes[1:])]


# %% gradient_norms: filled from the end
def gradient_norms(g, Ws):
    k = len(Ws) + 1
    plain, residual = torch.zeros(k), torch.zeros(k)
    a, b = g.clone(), g.clone()
    plain[-1] = residual[-1] = torch.sqrt((g**2).sum())
    for i in range(k - 2, -1, -1):
        a = Ws[i].t() @ a
        b = b + Ws[i].t() @ b
        plain[i], residual[i] = torch.sqrt((a**2).sum()), torch.sqrt((b**2).sum())
    return plain, residual


# %% gradient_norms: numpy
def gradient_norms(g, Ws):
    a = b = g.numpy()
    plain, residual = [np.linalg.norm(a)], [np.linalg.norm(b)]
    for W in [W.numpy() for W in Ws][::-1]:
        a, b = a @ W, b + b @ W
        plain.append(np.linalg.norm(a))
        residual.append(np.linalg.norm(b))
    return np.array(plain[::-1]), np.array(residual[::-1])


# %% gradient_norms: identity plus W, one function for both
def gradient_norms(g, Ws):
    def lengths(Ms):
        found, g_i = [g], g
        for M in Ms[::-1]:
            g_i = torch.einsum("ij,i->j", M, g_i)
            found = [g_i, *found]
        return [float(v.norm()) for v in found]

    return lengths(Ws), lengths([W + torch.eye(len(g)) for W in Ws])


# %% gradient_norms: Jacobians multiplied out first
def gradient_norms(g, Ws):
    eye = torch.eye(len(g))
    J, K = [eye], [eye]
    for W in Ws[::-1]:
        J.append(J[-1] @ W)
        K.append(K[-1] @ (eye + W))
    length = lambda M: torch.linalg.norm(g @ M)
    return torch.stack([length(M) for M in reversed(J)]), torch.stack([length(M) for M in reversed(K)])


# %% gradient_norms: float32, a dict
def gradient_norms(g, Ws):
    gs = {"residual": [g.float()], "plain": [g.float()]}
    for W in reversed(Ws):
        gs["plain"].insert(0, W.float().T @ gs["plain"][0])
        gs["residual"].insert(0, W.float().T @ gs["residual"][0] + gs["residual"][0])
    return {name: torch.stack(values).norm(dim=1) for name, values in gs.items()}


# %% gradient_norms: both stacks as two columns
def gradient_norms(g, Ws):
    both = torch.stack([g, g], dim=1)
    shortcut, found = torch.tensor([0.0, 1.0]), [both]
    for W in reversed(Ws):
        both = W.T @ both + shortcut * both
        found.append(both)
    lengths = torch.stack(found[::-1]).square().sum(1).sqrt()
    return lengths[:, 0], lengths[:, 1]


# %% gradient_by_paths: lengths downwards, in place
def gradient_by_paths(g, Ws):
    parts = torch.zeros(len(Ws) + 1, len(g))
    parts[0] = g
    for W in reversed(Ws):
        for length in range(len(Ws), 0, -1):
            parts[length] += W.T @ parts[length - 1]
    return parts


# %% gradient_by_paths: all lengths in one product
def gradient_by_paths(g, Ws):
    parts = F.pad(g[None], (0, 0, 0, len(Ws)))
    for W in Ws[::-1]:
        parts = parts + F.pad((parts @ W)[:-1], (0, 0, 1, 0))
    return parts


# %% gradient_by_paths: a list that grows by one at each block
def gradient_by_paths(g, Ws):
    parts = [g]
    for W in reversed(Ws):
        through = [torch.zeros_like(g)] + [torch.mv(W.T, part) for part in parts]
        parts = [a + b for a, b in zip([*parts, torch.zeros_like(g)], through)]
    return torch.stack(parts)


# %% gradient_by_paths: numpy
def gradient_by_paths(g, Ws):
    g = g.numpy()
    parts = np.zeros((len(Ws) + 1, len(g)))
    parts[0] = g
    for used, W in enumerate(reversed(Ws), start=1):
        parts[1 : used + 1] += parts[:used] @ W.numpy()
    return parts


# %% gradient_by_paths: recursion over blocks
def gradient_by_paths(g, Ws):
    if len(Ws) == 0:
        return g[None]
    above = gradient_by_paths(g, Ws[1:])
    zero = torch.zeros(1, len(g))
    return torch.cat([above, zero]) + torch.cat([zero, above @ Ws[0]])


# %% gradient_by_paths: plain Python
def gradient_by_paths(g, Ws):
    n = len(g)
    parts = [g.tolist()] + [[0.0] * n for _ in Ws]
    for W in (W.tolist() for W in reversed(Ws)):
        for length in range(len(Ws), 0, -1):
            before = parts[length - 1]
            parts[length] = [parts[length][j] + sum(W[i][j] * before[i] for i in range(n)) for j in range(n)]
    return parts


# %% inception_backward: transposed convolutions
def inception_backward(G, Z, W_1, R_3, W_3, R_5, W_5, W_p):
    def relu_conv(Z, W):
        return F.relu(F.conv2d(Z, W, padding=W.shape[-1] // 2))

    def back(G, A, Z, W):
        p, G = W.shape[-1] // 2, torch.where(A > 0, G, 0.0)
        G_W = F.conv2d(Z.transpose(0, 1), G.transpose(0, 1), padding=p).transpose(0, 1)
        return F.conv_transpose2d(G, W, padding=p), G_W

    pooled, indices = F.max_pool2d(Z, 3, 1, 1, return_indices=True)
    H_3, H_5 = relu_conv(Z, R_3), relu_conv(Z, R_5)
    outs = relu_conv(Z, W_1), relu_conv(H_3, W_3), relu_conv(H_5, W_5), relu_conv(pooled, W_p)
    G_1, G_3, G_5, G_p = torch.split(G, [A.shape[1] for A in outs], 1)
    A, G_W_1 = back(G_1, outs[0], Z, W_1)
    G_3, G_W_3 = back(G_3, outs[1], H_3, W_3)
    B, G_R_3 = back(G_3, H_3, Z, R_3)
    G_5, G_W_5 = back(G_5, outs[2], H_5, W_5)
    C, G_R_5 = back(G_5, H_5, Z, R_5)
    G_p, G_W_p = back(G_p, outs[3], pooled, W_p)
    D = torch.zeros_like(Z).flatten(2).scatter_add(2, indices.flatten(2), G_p.flatten(2)).reshape(Z.shape)
    return A + B + C + D, G_W_1, G_R_3, G_W_3, G_R_5, G_W_5, G_W_p


# %% inception_backward: the three convolutions of 1×1 as one
def inception_backward(G, Z, W_1, R_3, W_3, R_5, W_5, W_p):
    zeros = lambda W: torch.zeros(len(W))
    parts = [len(W_1), len(R_3), len(R_5)]
    first = torch.cat([W_1, R_3, R_5])
    A = F.conv2d(Z, first).clamp(min=0)
    _, Z_3, Z_5 = A.split(parts, dim=1)
    pooled = F.max_pool2d(Z, 3, stride=1, padding=1)
    G_1, G_3, G_5, G_p = G.split([len(W) for W in (W_1, W_3, W_5, W_p)], dim=1)
    G_3 = G_3 * (F.conv2d(Z_3, W_3, padding=1) > 0)
    G_5 = G_5 * (F.conv2d(Z_5, W_5, padding=2) > 0)
    G_p = G_p * (F.conv2d(pooled, W_p) > 0)
    G_3, G_W_3, _ = conv2d_backward(G_3, Z_3, W_3, zeros(W_3), 1, 1)
    G_5, G_W_5, _ = conv2d_backward(G_5, Z_5, W_5, zeros(W_5), 1, 2)
    G_p, G_W_p, _ = conv2d_backward(G_p, pooled, W_p, zeros(W_p), 1, 0)
    G_Z, G_first, _ = conv2d_backward(torch.cat([G_1, G_3, G_5], dim=1) * (A > 0), Z, first, zeros(first), 1, 0)
    G_W_1, G_R_3, G_R_5 = G_first.split(parts)
    return G_Z + max_pool_backward(G_p, Z, 3, 1, 1), G_W_1, G_R_3, G_W_3, G_R_5, G_W_5, G_W_p


# %% inception_backward: step by step, without a function of its own
def inception_backward(G, Z, W_1, R_3, W_3, R_5, W_5, W_p):
    A_1 = F.conv2d(Z, W_1)
    A_3 = F.conv2d(Z, R_3)
    B_3 = F.conv2d(F.relu(A_3), W_3, padding=1)
    A_5 = F.conv2d(Z, R_5)
    B_5 = F.conv2d(F.relu(A_5), W_5, padding=2)
    M = F.max_pool2d(Z, 3, 1, 1)
    A_p = F.conv2d(M, W_p)
    a, b, c = len(W_1), len(W_1) + len(W_3), len(W_1) + len(W_3) + len(W_5)
    G_1, G_3, G_5, G_p = G[:, :a] * (A_1 > 0), G[:, a:b] * (B_3 > 0), G[:, b:c] * (B_5 > 0), G[:, c:] * (A_p > 0)
    no = torch.zeros
    G_Z, G_W_1, _ = conv2d_backward(G_1, Z, W_1, no(len(W_1)), 1, 0)
    G_H, G_W_3, _ = conv2d_backward(G_3, F.relu(A_3), W_3, no(len(W_3)), 1, 1)
    G_Z3, G_R_3, _ = conv2d_backward(G_H * (A_3 > 0), Z, R_3, no(len(R_3)), 1, 0)
    G_H, G_W_5, _ = conv2d_backward(G_5, F.relu(A_5), W_5, no(len(W_5)), 1, 2)
    G_Z5, G_R_5, _ = conv2d_backward(G_H * (A_5 > 0), Z, R_5, no(len(R_5)), 1, 0)
    G_M, G_W_p, _ = conv2d_backward(G_p, M, W_p, no(len(W_p)), 1, 0)
    G_Z += G_Z3
    G_Z += G_Z5
    G_Z += max_pool_backward(G_M, Z, 3, 1, 1)
    return {
        **dict(G_Z=G_Z, G_W_1=G_W_1, G_R_3=G_R_3, G_W_3=G_W_3),
        **dict(G_R_5=G_R_5, G_W_5=G_W_5, G_W_p=G_W_p),
    }


# %% inception_backward: einsum for 1×1, unfold and fold for the others
def inception_backward(G, Z, W_1, R_3, W_3, R_5, W_5, W_p):
    (N, C, H, width), flat = Z.shape, lambda W: W[:, :, 0, 0]

    def one(Z, W):
        return torch.einsum("nchw,kc->nkhw", Z, flat(W))

    def one_back(G, Z, W):
        return (
            torch.einsum("nkhw,kc->nchw", G, flat(W)),
            torch.einsum("nkhw,nchw->kc", G, Z)[:, :, None, None],
        )

    def many_back(G, Z, W):
        k = W.shape[2]
        columns = F.unfold(Z, k, padding=k // 2)
        G = G.flatten(2)
        G_W = torch.einsum("nkp,nqp->kq", G, columns).reshape(W.shape)
        return F.fold(torch.einsum("nkp,kq->nqp", G, W.flatten(1)), (H, width), k, padding=k // 2), G_W

    A_3, A_5 = one(Z, R_3), one(Z, R_5)
    H_3, H_5 = A_3.relu(), A_5.relu()
    windows = F.pad(Z, (1, 1, 1, 1), value=-1e300).unfold(2, 3, 1).unfold(3, 3, 1)
    M = windows.amax((4, 5))
    pieces = iter(G.split([len(W_1), len(W_3), len(W_5), len(W_p)], 1))
    G_Z, G_W_1 = one_back(next(pieces) * (one(Z, W_1) > 0), Z, W_1)
    G_H, G_W_3 = many_back(next(pieces) * (F.conv2d(H_3, W_3, padding=1) > 0), H_3, W_3)
    more, G_R_3 = one_back(G_H * (A_3 > 0), Z, R_3)
    G_Z = G_Z + more
    G_H, G_W_5 = many_back(next(pieces) * (F.conv2d(H_5, W_5, padding=2) > 0), H_5, W_5)
    more, G_R_5 = one_back(G_H * (A_5 > 0), Z, R_5)
    G_Z = G_Z + more
    G_M, G_W_p = one_back(next(pieces) * (one(M, W_p) > 0), M, W_p)
    shares = (windows == M[..., None, None]) * G_M[..., None, None]
    spread = torch.zeros(N, C, H + 2, width + 2)
    for u in range(3):
        for v in range(3):
            spread[:, :, u : u + H, v : v + width] += shares[..., u, v]
    return G_Z + spread[:, :, 1:-1, 1:-1], G_W_1, G_R_3, G_W_3, G_R_5, G_W_5, G_W_p


# %% inception_backward: float32, branches as a list
def inception_backward(G, Z, W_1, R_3, W_3, R_5, W_5, W_p):
    dtype = Z.dtype
    G, Z, *filters = (a.float() for a in (G, Z, W_1, R_3, W_3, R_5, W_5, W_p))
    W_1, R_3, W_3, R_5, W_5, W_p = filters
    branches = [(Z, [W_1]), (Z, [R_3, W_3]), (Z, [R_5, W_5]), (F.max_pool2d(Z, 3, 1, 1), [W_p])]
    gradients, arrived = [], []
    for (X, Ws), G_i in zip(branches, G.split([len(Ws[-1]) for _, Ws in branches], dim=1)):
        Xs, found = [X], []
        for W in Ws:
            Xs.append(F.conv2d(Xs[-1], W, padding=W.shape[2] // 2).relu())
        for W in reversed(Ws):
            G_i = G_i * (Xs.pop() > 0)
            G_i, G_W, _ = conv2d_backward(G_i, Xs[-1], W, torch.zeros(len(W)), 1, W.shape[2] // 2)
            found.insert(0, G_W.to(dtype))
        gradients += found
        arrived.append(G_i)
    arrived[3] = max_pool_backward(arrived[3], Z, 3, 1, 1)
    return (sum(arrived).to(dtype), *gradients)


# %% dream_step: transposed convolutions
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    A = torch.roll(X, shifts=(dy, dx), dims=(2, 3))
    outs = []
    for W, b in zip(Ws, bs):
        A = F.relu(F.conv2d(A, W, b, padding=W.shape[-1] // 2))
        outs.append(A)
    L, G = 0.5 * A.square().sum(dim=(1, 2, 3)), A
    for W, A in zip(reversed(Ws), reversed(outs)):
        G = F.conv_transpose2d(G * (A > 0), W, padding=W.shape[-1] // 2)
    G = G / (G.abs().mean(dim=(1, 2, 3), keepdim=True) + eps)
    return L, X + alpha * torch.roll(G, shifts=(-dy, -dx), dims=(2, 3))


# %% dream_step: recursion over layers
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    def climb(Z, i):
        if i == len(Ws):
            return (Z**2).sum((1, 2, 3)) / 2, Z
        p = Ws[i].shape[2] // 2
        A = F.conv2d(Z, Ws[i], bs[i], padding=p)
        L, G = climb(A.clamp(min=0), i + 1)
        return L, conv2d_backward(G * (A > 0), Z, Ws[i], bs[i], 1, p)[0]

    L, G = climb(X.roll((dy, dx), (2, 3)), 0)
    means = torch.stack([g.abs().mean() for g in G])
    step = alpha * G / (means + eps).reshape(-1, 1, 1, 1)
    return L, X + step.roll((-dy, -dx), (-2, -1))


# %% dream_step: image by image
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    Ls, Xs = [], []
    for x in X:
        Zs = [x[None].roll(dy, 2).roll(dx, 3)]
        for W, b in zip(Ws, bs):
            Zs.append(F.conv2d(Zs[-1], W, b, padding="same").relu())
        G = Zs[-1]
        Ls.append((G * G).sum() / 2)
        for i in reversed(range(len(Ws))):
            G, _, _ = conv2d_backward(G * (Zs[i + 1] > 0), Zs[i], Ws[i], bs[i], 1, Ws[i].shape[3] // 2)
        G = G / (torch.mean(torch.abs(G)) + eps)
        Xs.append(x + alpha * G[0].roll(-dy, 1).roll(-dx, 2))
    return torch.stack(Ls), torch.stack(Xs)


# %% dream_step: rolled by indices, a dict
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    H, width = X.shape[2:]
    rows, columns = (torch.arange(H) - dy) % H, (torch.arange(width) - dx) % width
    Z, slopes = X[:, :, rows][..., columns], []
    for W, b in zip(Ws, bs):
        A = F.conv2d(Z, W, padding=W.shape[2] // 2) + b[:, None, None]
        Z = torch.where(A > 0, A, 0.0)
        slopes.append((A > 0).double())
    G = Z
    for W, slope in zip(Ws[::-1], slopes[::-1]):
        flipped = W.flip(2, 3).transpose(0, 1)
        G = F.conv2d(G * slope, flipped, padding=W.shape[2] // 2)
    G_hat = G / (G.abs().sum((1, 2, 3)) / G[0].numel() + eps)[:, None, None, None]
    back = torch.zeros_like(X)
    back[:, :, rows[:, None], columns] = G_hat
    return {"X_next": X + alpha * back, "L": torch.einsum("nkij,nkij->n", Z, Z) / 2}


# %% dream_step: rolled by slices, float32
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    def rolled(Z, dy, dx):
        Z = torch.cat([Z[:, :, -dy:], Z[:, :, :-dy]], dim=2)
        return torch.cat([Z[..., -dx:], Z[..., :-dx]], dim=3)

    Zs = [rolled(X, dy, dx).float()]
    for W, b in zip(Ws, bs):
        Zs.append(F.conv2d(Zs[-1], W.float(), b.float(), padding=W.shape[2] // 2).clamp_min(0))
    G, L = Zs[-1], Zs[-1].pow(2).flatten(1).sum(1).mul(0.5)
    while Ws:
        *Ws, W = Ws
        G = F.conv_transpose2d(G * (Zs.pop() > 0), W.float(), padding=W.shape[2] // 2)
    G = G / (G.abs().flatten(1).mean(1).view(-1, 1, 1, 1) + eps)
    return L, (X + alpha * rolled(G, -dy, -dx)).float()


# %% total_variation_gradient: padded differences
def total_variation_gradient(X, eps):
    D = F.pad(X[:, :, 1:] - X[:, :, :-1], (0, 0, 0, 1))
    R = F.pad(X[:, :, :, 1:] - X[:, :, :, :-1], (0, 1))
    r = (D * D + R * R + eps) ** 0.5
    D, R = D / r, R / r
    return r.sum(), F.pad(D, (0, 0, 1, 0))[:, :, :-1] - D + F.pad(R, (1, 0))[..., :-1] - R


# %% total_variation_gradient: torch.diff with the last row twice
def total_variation_gradient(X, eps):
    D = torch.diff(X, dim=2, append=X[:, :, -1:])
    R = torch.diff(X, dim=3, append=X[..., -1:])
    r = torch.sqrt(D.square() + R.square() + eps)
    down, right = D / r, R / r
    zero_row, zero_column = torch.zeros_like(X[:, :, :1]), torch.zeros_like(X[..., :1])
    G_X = -torch.diff(down, dim=2, prepend=zero_row) - torch.diff(right, dim=3, prepend=zero_column)
    return torch.sum(r), G_X


# %% total_variation_gradient: matrices of differences
def total_variation_gradient(X, eps):
    H, width = X.shape[2:]
    M, K = torch.diag(torch.ones(H - 1), 1) - torch.eye(H), torch.diag(torch.ones(width - 1), 1) - torch.eye(width)
    M[-1, -1] = K[-1, -1] = 0
    D, R = M @ X, X @ K.T
    r = (D**2 + R**2 + eps).sqrt()
    return r.sum(), M.T @ (D / r) + (R / r) @ K


# %% total_variation_gradient: numpy
def total_variation_gradient(X, eps):
    X = X.numpy()
    D, R = np.zeros_like(X), np.zeros_like(X)
    D[:, :, :-1], R[..., :-1] = np.diff(X, axis=2), np.diff(X, axis=3)
    r = np.sqrt(D**2 + R**2 + eps)
    G_X = -(D + R) / r
    G_X[:, :, 1:] += (D / r)[:, :, :-1]
    G_X[..., 1:] += (R / r)[..., :-1]
    return r.sum(), G_X


# %% total_variation_gradient: pixel by pixel
def total_variation_gradient(X, eps):
    H, width = X.shape[2:]
    TV, G_X = 0.0, np.zeros(X.shape)
    X = X.numpy()
    for i in range(H):
        for j in range(width):
            down = X[:, :, i + 1, j] - X[:, :, i, j] if i + 1 < H else 0.0
            right = X[:, :, i, j + 1] - X[:, :, i, j] if j + 1 < width else 0.0
            r = np.sqrt(down**2 + right**2 + eps + 0 * X[:, :, i, j])
            TV += r.sum()
            G_X[:, :, i, j] -= (down + right) / r
            if i + 1 < H:
                G_X[:, :, i + 1, j] += down / r
            if j + 1 < width:
                G_X[:, :, i, j + 1] += right / r
    return TV, G_X


# %% total_variation_gradient: convolutions, float32
def total_variation_gradient(X, eps):
    N, C, H, width = X.shape
    planes = X.float().reshape(N * C, 1, H, width)
    filters = torch.zeros(2, 1, 2, 2, dtype=torch.float32)
    filters[:, :, 0, 0] = -1
    filters[0, :, 1, 0] = filters[1, :, 0, 1] = 1
    steps = F.conv2d(F.pad(planes, (0, 1, 0, 1), mode="replicate"), filters)
    r = (steps.square().sum(1, keepdim=True) + eps).sqrt()
    G = F.conv_transpose2d(steps / r, filters)[:, :, :H, :width]
    return r.sum().item(), G.reshape(X.shape)
