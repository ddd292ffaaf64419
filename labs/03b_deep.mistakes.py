"""Every listed mistake of the lab `deep`, as the code that a student would hand in.

A cell's title is `question: sentence`; it runs after all solutions of the lab, in their namespace.
"""
# ruff: noqa: F811, F821


# %% vgg_column: left out the biases
def vgg_column(column, C, H, W):
    shapes, counts = [], []
    for row in column:
        kind, _, n = row.partition("-")
        count = 0
        if kind == "maxpool":
            H, W = H // 2, W // 2
        elif kind == "FC":
            count = C * H * W * int(n)
            C, H, W = int(n), 1, 1
        elif kind.startswith("conv"):
            count = C * int(kind[4:]) ** 2 * int(n)
            C = int(n)
        shapes.append((C, H, W))
        counts.append(count)
    return shapes, counts


# %% vgg_column: left the convolutions without padding
def vgg_column(column, C, H, W):
    shapes, counts = [], []
    for row in column:
        kind, _, n = row.partition("-")
        count = 0
        if kind == "maxpool":
            H, W = H // 2, W // 2
        elif kind == "FC":
            count = (C * H * W + 1) * int(n)
            C, H, W = int(n), 1, 1
        elif kind.startswith("conv"):
            k = int(kind[4:])
            count = (C * k**2 + 1) * int(n)
            C, H, W = int(n), H - k + 1, W - k + 1
        shapes.append((C, H, W))
        counts.append(count)
    return shapes, counts


# %% vgg_column: padded every convolution by 1, whatever its filter
def vgg_column(column, C, H, W):
    shapes, counts = [], []
    for row in column:
        kind, _, n = row.partition("-")
        count = 0
        if kind == "maxpool":
            H, W = H // 2, W // 2
        elif kind == "FC":
            count = (C * H * W + 1) * int(n)
            C, H, W = int(n), 1, 1
        elif kind.startswith("conv"):
            k = int(kind[4:])
            count = (C * k**2 + 1) * int(n)
            C, H, W = int(n), H + 2 - k + 1, W + 2 - k + 1
        shapes.append((C, H, W))
        counts.append(count)
    return shapes, counts


# %% vgg_column: counted every filter as 3×3
def vgg_column(column, C, H, W):
    shapes, counts = [], []
    for row in column:
        if row == "maxpool":
            H, W = H // 2, W // 2
            counts.append(0)
        elif row.startswith("FC"):
            n = int(row[3:])
            counts.append(n * C * H * W + n)
            C, H, W = n, 1, 1
        elif row.startswith("conv"):
            n = int(row.split("-")[1])
            counts.append(9 * C * n + n)
            C = n
        else:
            counts.append(0)
        shapes.append([C, H, W])
    return shapes, counts


# %% vgg_column: rounded up where pooling leaves a row or column over
def vgg_column(column, C, H, W):
    shapes, counts = [], []
    for row in column:
        kind, _, n = row.partition("-")
        count = 0
        if kind == "maxpool":
            H, W = math.ceil(H / 2), math.ceil(W / 2)
        elif kind == "FC":
            count = (C * H * W + 1) * int(n)
            C, H, W = int(n), 1, 1
        elif kind.startswith("conv"):
            count = (C * int(kind[4:]) ** 2 + 1) * int(n)
            C = int(n)
        shapes.append((C, H, W))
        counts.append(count)
    return shapes, counts


# %% vgg_column: fed the first fully connected layer the channels alone, not C·H·W numbers
def vgg_column(column, C, H, W):
    shapes, counts = [], []
    for row in column:
        kind, _, n = row.partition("-")
        count = 0
        if kind == "maxpool":
            H, W = H // 2, W // 2
        elif kind == "FC":
            count = (C + 1) * int(n)
            C, H, W = int(n), 1, 1
        elif kind.startswith("conv"):
            count = (C * int(kind[4:]) ** 2 + 1) * int(n)
            C = int(n)
        shapes.append((C, H, W))
        counts.append(count)
    return shapes, counts


# %% vgg_column: gave LRN a scale and a shift for each channel, as batch norm has
def vgg_column(column, C, H, W):
    shapes, counts = [], []
    for row in column:
        kind, _, n = row.partition("-")
        count = 0
        if kind == "maxpool":
            H, W = H // 2, W // 2
        elif kind == "LRN":
            count = 2 * C
        elif kind == "FC":
            count = (C * H * W + 1) * int(n)
            C, H, W = int(n), 1, 1
        elif kind.startswith("conv"):
            count = (C * int(kind[4:]) ** 2 + 1) * int(n)
            C = int(n)
        shapes.append((C, H, W))
        counts.append(count)
    return shapes, counts


# %% vgg_column: left the filter's window out of the count
def vgg_column(column, C, H, W):
    shapes, counts = [], []
    for row in column:
        kind, _, n = row.partition("-")
        count = 0
        if kind == "maxpool":
            H, W = H // 2, W // 2
        elif kind == "FC":
            count = (C * H * W + 1) * int(n)
            C, H, W = int(n), 1, 1
        elif kind.startswith("conv"):
            count = C * int(n) + int(n)
            C = int(n)
        shapes.append((C, H, W))
        counts.append(count)
    return shapes, counts


# %% gradient_norms: multiplied by W_i, not by its transpose
def gradient_norms(g, Ws):
    plain = residual = g
    lengths = [(g.norm(), g.norm())]
    for W in reversed(Ws):
        plain, residual = W @ plain, residual + W @ residual
        lengths.insert(0, (plain.norm(), residual.norm()))
    return tuple(torch.tensor(lengths).T)


# %% gradient_norms: went through the Ws from the first to the last
def gradient_norms(g, Ws):
    plain = residual = g
    lengths = [(g.norm(), g.norm())]
    for W in Ws:
        plain, residual = W.T @ plain, residual + W.T @ residual
        lengths.insert(0, (plain.norm(), residual.norm()))
    return tuple(torch.tensor(lengths).T)


# %% gradient_norms: returned the norms from z_k to z_1
def gradient_norms(g, Ws):
    plain = residual = g
    lengths = [(g.norm(), g.norm())]
    for W in reversed(Ws):
        plain, residual = W.T @ plain, residual + W.T @ residual
        lengths.append((plain.norm(), residual.norm()))
    return tuple(torch.tensor(lengths).T)


# %% gradient_norms: left out the norm at z_k
def gradient_norms(g, Ws):
    plain, residual, lengths = g, g, []
    for W in reversed(Ws):
        plain, residual = W.T @ plain, residual + W.T @ residual
        lengths.insert(0, (plain.norm(), residual.norm()))
    return tuple(torch.tensor(lengths).T)


# %% gradient_norms: returned the squares of the norms
def gradient_norms(g, Ws):
    plain = residual = g
    lengths = [(g @ g, g @ g)]
    for W in reversed(Ws):
        plain, residual = W.T @ plain, residual + W.T @ residual
        lengths.insert(0, (plain @ plain, residual @ residual))
    return tuple(torch.tensor(lengths).T)


# %% gradient_norms: added up absolute values: that is another norm
def gradient_norms(g, Ws):
    plain = residual = g
    lengths = [(g.abs().sum(), g.abs().sum())]
    for W in reversed(Ws):
        plain, residual = W.T @ plain, residual + W.T @ residual
        lengths.insert(0, (plain.abs().sum(), residual.abs().sum()))
    return tuple(torch.tensor(lengths).T)


# %% gradient_norms: handed the last g on at every block, instead of g_{i+1}
def gradient_norms(g, Ws):
    plain = residual = g
    lengths = [(g.norm(), g.norm())]
    for W in reversed(Ws):
        plain, residual = W.T @ plain, g + W.T @ residual
        lengths.insert(0, (plain.norm(), residual.norm()))
    return tuple(torch.tensor(lengths).T)


# %% gradient_by_paths: multiplied by W_i, not by its transpose
def gradient_by_paths(g, Ws):
    parts = [g] + [torch.zeros_like(g) for _ in Ws]
    for W in reversed(Ws):
        for length in range(len(Ws), 0, -1):
            parts[length] = parts[length] + W @ parts[length - 1]
    return torch.stack(parts)


# %% gradient_by_paths: went through the Ws from the first to the last
def gradient_by_paths(g, Ws):
    parts = [g] + [torch.zeros_like(g) for _ in Ws]
    for W in Ws:
        for length in range(len(Ws), 0, -1):
            parts[length] = parts[length] + W.T @ parts[length - 1]
    return torch.stack(parts)


# %% gradient_by_paths: took what had just gone through W_i through it again
def gradient_by_paths(g, Ws):
    parts = [g] + [torch.zeros_like(g) for _ in Ws]
    for W in reversed(Ws):
        for length in range(1, len(Ws) + 1):
            parts[length] = parts[length] + W.T @ parts[length - 1]
    return torch.stack(parts)


# %% gradient_by_paths: followed one path of each length alone, through the last blocks
def gradient_by_paths(g, Ws):
    parts = [g]
    for W in reversed(Ws):
        parts.append(W.T @ parts[-1])
    return torch.stack(parts)


# %% gradient_by_paths: averaged over the paths of each length
def gradient_by_paths(g, Ws):
    parts = [g] + [torch.zeros_like(g) for _ in Ws]
    for W in reversed(Ws):
        for length in range(len(Ws), 0, -1):
            parts[length] = parts[length] + W.T @ parts[length - 1]
    return torch.stack([part / math.comb(len(Ws), length) for length, part in enumerate(parts)])


# %% gradient_by_paths: left out the path around all blocks
def gradient_by_paths(g, Ws):
    parts = [g] + [torch.zeros_like(g) for _ in Ws]
    for W in reversed(Ws):
        for length in range(len(Ws), 0, -1):
            parts[length] = parts[length] + W.T @ parts[length - 1]
    return torch.stack(parts[1:])


# %% gradient_by_paths: sorted the parts from the longest path to the shortest
def gradient_by_paths(g, Ws):
    parts = [g] + [torch.zeros_like(g) for _ in Ws]
    for W in reversed(Ws):
        for length in range(len(Ws), 0, -1):
            parts[length] = parts[length] + W.T @ parts[length - 1]
    return torch.stack(parts[::-1])


# %% inception_backward: kept the last branch's part of G_Z only
def inception_backward(G, Z, W_1, R_3, W_3, R_5, W_5, W_p):
    def through(G, Z, W):
        p = W.shape[2] // 2
        return conv2d_backward(G * (F.conv2d(Z, W, padding=p) > 0), Z, W, torch.zeros(len(W)), 1, p)[:2]

    G_1, G_3, G_5, G_p = G.split([len(W_1), len(W_3), len(W_5), len(W_p)], dim=1)
    G_Z, G_W_1 = through(G_1, Z, W_1)
    G_H, G_W_3 = through(G_3, F.conv2d(Z, R_3).relu(), W_3)
    G_Z, G_R_3 = through(G_H, Z, R_3)
    G_H, G_W_5 = through(G_5, F.conv2d(Z, R_5).relu(), W_5)
    G_Z, G_R_5 = through(G_H, Z, R_5)
    G_H, G_W_p = through(G_p, F.max_pool2d(Z, 3, 1, 1), W_p)
    G_Z = max_pool_backward(G_H, Z, 3, 1, 1)
    return G_Z, G_W_1, G_R_3, G_W_3, G_R_5, G_W_5, G_W_p


# %% inception_backward: left the pooling branch's part out of G_Z
def inception_backward(G, Z, W_1, R_3, W_3, R_5, W_5, W_p):
    def through(G, Z, W):
        p = W.shape[2] // 2
        return conv2d_backward(G * (F.conv2d(Z, W, padding=p) > 0), Z, W, torch.zeros(len(W)), 1, p)[:2]

    G_1, G_3, G_5, G_p = G.split([len(W_1), len(W_3), len(W_5), len(W_p)], dim=1)
    G_Z, G_W_1 = through(G_1, Z, W_1)
    G_H, G_W_3 = through(G_3, F.conv2d(Z, R_3).relu(), W_3)
    more, G_R_3 = through(G_H, Z, R_3)
    G_Z = G_Z + more
    G_H, G_W_5 = through(G_5, F.conv2d(Z, R_5).relu(), W_5)
    more, G_R_5 = through(G_H, Z, R_5)
    G_Z = G_Z + more
    _, G_W_p = through(G_p, F.max_pool2d(Z, 3, 1, 1), W_p)
    return G_Z, G_W_1, G_R_3, G_W_3, G_R_5, G_W_5, G_W_p


# %% inception_backward: averaged the branches' parts of G_Z
def inception_backward(G, Z, W_1, R_3, W_3, R_5, W_5, W_p):
    def through(G, Z, W):
        p = W.shape[2] // 2
        return conv2d_backward(G * (F.conv2d(Z, W, padding=p) > 0), Z, W, torch.zeros(len(W)), 1, p)[:2]

    G_1, G_3, G_5, G_p = G.split([len(W_1), len(W_3), len(W_5), len(W_p)], dim=1)
    A, G_W_1 = through(G_1, Z, W_1)
    G_H, G_W_3 = through(G_3, F.conv2d(Z, R_3).relu(), W_3)
    B, G_R_3 = through(G_H, Z, R_3)
    G_H, G_W_5 = through(G_5, F.conv2d(Z, R_5).relu(), W_5)
    C, G_R_5 = through(G_H, Z, R_5)
    G_H, G_W_p = through(G_p, F.max_pool2d(Z, 3, 1, 1), W_p)
    D = max_pool_backward(G_H, Z, 3, 1, 1)
    return torch.stack([A, B, C, D]).mean(0), G_W_1, G_R_3, G_W_3, G_R_5, G_W_5, G_W_p


# %% inception_backward: cut G as if the branches stood in the reverse order
def inception_backward(G, Z, W_1, R_3, W_3, R_5, W_5, W_p):
    def through(G, Z, W):
        p = W.shape[2] // 2
        return conv2d_backward(G * (F.conv2d(Z, W, padding=p) > 0), Z, W, torch.zeros(len(W)), 1, p)[:2]

    G_p, G_5, G_3, G_1 = G.split([len(W_p), len(W_5), len(W_3), len(W_1)], dim=1)
    A, G_W_1 = through(G_1, Z, W_1)
    G_H, G_W_3 = through(G_3, F.conv2d(Z, R_3).relu(), W_3)
    B, G_R_3 = through(G_H, Z, R_3)
    G_H, G_W_5 = through(G_5, F.conv2d(Z, R_5).relu(), W_5)
    C, G_R_5 = through(G_H, Z, R_5)
    G_H, G_W_p = through(G_p, F.max_pool2d(Z, 3, 1, 1), W_p)
    return A + B + C + max_pool_backward(G_H, Z, 3, 1, 1), G_W_1, G_R_3, G_W_3, G_R_5, G_W_5, G_W_p


# %% inception_backward: let the gradient through the ReLUs between two convolutions where they are off
def inception_backward(G, Z, W_1, R_3, W_3, R_5, W_5, W_p):
    def through(G, Z, W, on=None):
        p = W.shape[2] // 2
        on = F.conv2d(Z, W, padding=p) > 0 if on is None else on
        return conv2d_backward(G * on, Z, W, torch.zeros(len(W)), 1, p)[:2]

    G_1, G_3, G_5, G_p = G.split([len(W_1), len(W_3), len(W_5), len(W_p)], dim=1)
    A, G_W_1 = through(G_1, Z, W_1)
    G_H, G_W_3 = through(G_3, F.conv2d(Z, R_3).relu(), W_3)
    B, G_R_3 = through(G_H, Z, R_3, on=1)
    G_H, G_W_5 = through(G_5, F.conv2d(Z, R_5).relu(), W_5)
    C, G_R_5 = through(G_H, Z, R_5, on=1)
    G_H, G_W_p = through(G_p, F.max_pool2d(Z, 3, 1, 1), W_p)
    return A + B + C + max_pool_backward(G_H, Z, 3, 1, 1), G_W_1, G_R_3, G_W_3, G_R_5, G_W_5, G_W_p


# %% inception_backward: let the gradient through the branches' last ReLUs where they are off
def inception_backward(G, Z, W_1, R_3, W_3, R_5, W_5, W_p):
    def back(G, Z, W):
        return conv2d_backward(G, Z, W, torch.zeros(len(W)), 1, W.shape[2] // 2)[:2]

    G_1, G_3, G_5, G_p = G.split([len(W_1), len(W_3), len(W_5), len(W_p)], dim=1)
    H_3, H_5 = F.conv2d(Z, R_3).relu(), F.conv2d(Z, R_5).relu()
    A, G_W_1 = back(G_1, Z, W_1)
    G_H, G_W_3 = back(G_3, H_3, W_3)
    B, G_R_3 = back(G_H * (H_3 > 0), Z, R_3)
    G_H, G_W_5 = back(G_5, H_5, W_5)
    C, G_R_5 = back(G_H * (H_5 > 0), Z, R_5)
    G_H, G_W_p = back(G_p, F.max_pool2d(Z, 3, 1, 1), W_p)
    return A + B + C + max_pool_backward(G_H, Z, 3, 1, 1), G_W_1, G_R_3, G_W_3, G_R_5, G_W_5, G_W_p


# %% inception_backward: kept the pre-activation where the next filter's gradient needs what ReLU made of it
def inception_backward(G, Z, W_1, R_3, W_3, R_5, W_5, W_p):
    def back(G, Z, W):
        return conv2d_backward(G, Z, W, torch.zeros(len(W)), 1, W.shape[2] // 2)[:2]

    A_1, A_3, A_5 = F.conv2d(Z, W_1), F.conv2d(Z, R_3), F.conv2d(Z, R_5)
    B_3, B_5 = F.conv2d(A_3.relu(), W_3, padding=1), F.conv2d(A_5.relu(), W_5, padding=2)
    pooled = F.max_pool2d(Z, 3, 1, 1)
    A_p = F.conv2d(pooled, W_p)
    G_1, G_3, G_5, G_p = G.split([len(W_1), len(W_3), len(W_5), len(W_p)], dim=1)
    A, G_W_1 = back(G_1 * (A_1 > 0), Z, W_1)
    G_H, G_W_3 = back(G_3 * (B_3 > 0), A_3, W_3)
    B, G_R_3 = back(G_H * (A_3 > 0), Z, R_3)
    G_H, G_W_5 = back(G_5 * (B_5 > 0), A_5, W_5)
    C, G_R_5 = back(G_H * (A_5 > 0), Z, R_5)
    G_H, G_W_p = back(G_p * (A_p > 0), pooled, W_p)
    return A + B + C + max_pool_backward(G_H, Z, 3, 1, 1), G_W_1, G_R_3, G_W_3, G_R_5, G_W_5, G_W_p


# %% inception_backward: padded the images with zeros instead of -∞ before pooling
def inception_backward(G, Z, W_1, R_3, W_3, R_5, W_5, W_p):
    def through(G, Z, W):
        p = W.shape[2] // 2
        return conv2d_backward(G * (F.conv2d(Z, W, padding=p) > 0), Z, W, torch.zeros(len(W)), 1, p)[:2]

    padded = F.pad(Z, (1, 1, 1, 1))
    G_1, G_3, G_5, G_p = G.split([len(W_1), len(W_3), len(W_5), len(W_p)], dim=1)
    A, G_W_1 = through(G_1, Z, W_1)
    G_H, G_W_3 = through(G_3, F.conv2d(Z, R_3).relu(), W_3)
    B, G_R_3 = through(G_H, Z, R_3)
    G_H, G_W_5 = through(G_5, F.conv2d(Z, R_5).relu(), W_5)
    C, G_R_5 = through(G_H, Z, R_5)
    G_H, G_W_p = through(G_p, F.max_pool2d(padded, 3, 1), W_p)
    D = max_pool_backward(G_H, padded, 3, 1, 0)[:, :, 1:-1, 1:-1]
    return A + B + C + D, G_W_1, G_R_3, G_W_3, G_R_5, G_W_5, G_W_p


# %% inception_backward: pooled nothing: went straight to the projection
def inception_backward(G, Z, W_1, R_3, W_3, R_5, W_5, W_p):
    def through(G, Z, W):
        p = W.shape[2] // 2
        return conv2d_backward(G * (F.conv2d(Z, W, padding=p) > 0), Z, W, torch.zeros(len(W)), 1, p)[:2]

    G_1, G_3, G_5, G_p = G.split([len(W_1), len(W_3), len(W_5), len(W_p)], dim=1)
    A, G_W_1 = through(G_1, Z, W_1)
    G_H, G_W_3 = through(G_3, F.conv2d(Z, R_3).relu(), W_3)
    B, G_R_3 = through(G_H, Z, R_3)
    G_H, G_W_5 = through(G_5, F.conv2d(Z, R_5).relu(), W_5)
    C, G_R_5 = through(G_H, Z, R_5)
    D, G_W_p = through(G_p, Z, W_p)
    return A + B + C + D, G_W_1, G_R_3, G_W_3, G_R_5, G_W_5, G_W_p


# %% inception_backward: averaged over the batch, which belongs to the loss
def inception_backward(G, Z, W_1, R_3, W_3, R_5, W_5, W_p):
    def through(G, Z, W):
        p = W.shape[2] // 2
        G_Z, G_W, _ = conv2d_backward(G * (F.conv2d(Z, W, padding=p) > 0), Z, W, torch.zeros(len(W)), 1, p)
        return G_Z, G_W / len(Z)

    G_1, G_3, G_5, G_p = G.split([len(W_1), len(W_3), len(W_5), len(W_p)], dim=1)
    A, G_W_1 = through(G_1, Z, W_1)
    G_H, G_W_3 = through(G_3, F.conv2d(Z, R_3).relu(), W_3)
    B, G_R_3 = through(G_H, Z, R_3)
    G_H, G_W_5 = through(G_5, F.conv2d(Z, R_5).relu(), W_5)
    C, G_R_5 = through(G_H, Z, R_5)
    G_H, G_W_p = through(G_p, F.max_pool2d(Z, 3, 1, 1), W_p)
    return A + B + C + max_pool_backward(G_H, Z, 3, 1, 1), G_W_1, G_R_3, G_W_3, G_R_5, G_W_5, G_W_p


# %% dream_step: went down the gradient
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    Zs = [X.roll((dy, dx), (2, 3))]
    for W, b in zip(Ws, bs):
        Zs.append(F.conv2d(Zs[-1], W, b, padding=W.shape[2] // 2).relu())
    A = Zs[-1]
    L = (A * A).sum((1, 2, 3)) / 2
    G = A
    for i in range(len(Ws) - 1, -1, -1):
        G = conv2d_backward(G * (Zs[i + 1] > 0), Zs[i], Ws[i], bs[i], 1, Ws[i].shape[2] // 2)[0]
    G = G / (G.abs().mean((1, 2, 3), keepdim=True) + eps)
    return L, X - alpha * G.roll((-dy, -dx), (2, 3))


# %% dream_step: did not normalise the gradient
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    Zs = [X.roll((dy, dx), (2, 3))]
    for W, b in zip(Ws, bs):
        Zs.append(F.conv2d(Zs[-1], W, b, padding=W.shape[2] // 2).relu())
    A = Zs[-1]
    L = (A * A).sum((1, 2, 3)) / 2
    G = A
    for i in range(len(Ws) - 1, -1, -1):
        G = conv2d_backward(G * (Zs[i + 1] > 0), Zs[i], Ws[i], bs[i], 1, Ws[i].shape[2] // 2)[0]
    return L, X + alpha * G.roll((-dy, -dx), (2, 3))


# %% dream_step: divided by the norm, not by the mean absolute value
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    Zs = [X.roll((dy, dx), (2, 3))]
    for W, b in zip(Ws, bs):
        Zs.append(F.conv2d(Zs[-1], W, b, padding=W.shape[2] // 2).relu())
    A = Zs[-1]
    L = (A * A).sum((1, 2, 3)) / 2
    G = A
    for i in range(len(Ws) - 1, -1, -1):
        G = conv2d_backward(G * (Zs[i + 1] > 0), Zs[i], Ws[i], bs[i], 1, Ws[i].shape[2] // 2)[0]
    G = G / (G.flatten(1).norm(dim=1)[:, None, None, None] + eps)
    return L, X + alpha * G.roll((-dy, -dx), (2, 3))


# %% dream_step: divided by the mean absolute value over the whole batch
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    Zs = [X.roll((dy, dx), (2, 3))]
    for W, b in zip(Ws, bs):
        Zs.append(F.conv2d(Zs[-1], W, b, padding=W.shape[2] // 2).relu())
    A = Zs[-1]
    L = (A * A).sum((1, 2, 3)) / 2
    G = A
    for i in range(len(Ws) - 1, -1, -1):
        G = conv2d_backward(G * (Zs[i + 1] > 0), Zs[i], Ws[i], bs[i], 1, Ws[i].shape[2] // 2)[0]
    G = G / (G.abs().mean() + eps)
    return L, X + alpha * G.roll((-dy, -dx), (2, 3))


# %% dream_step: divided by the mean, without absolute values
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    Zs = [X.roll((dy, dx), (2, 3))]
    for W, b in zip(Ws, bs):
        Zs.append(F.conv2d(Zs[-1], W, b, padding=W.shape[2] // 2).relu())
    A = Zs[-1]
    L = (A * A).sum((1, 2, 3)) / 2
    G = A
    for i in range(len(Ws) - 1, -1, -1):
        G = conv2d_backward(G * (Zs[i + 1] > 0), Zs[i], Ws[i], bs[i], 1, Ws[i].shape[2] // 2)[0]
    G = G / (G.mean((1, 2, 3), keepdim=True) + eps)
    return L, X + alpha * G.roll((-dy, -dx), (2, 3))


# %% dream_step: left out ε
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    Zs = [X.roll((dy, dx), (2, 3))]
    for W, b in zip(Ws, bs):
        Zs.append(F.conv2d(Zs[-1], W, b, padding=W.shape[2] // 2).relu())
    A = Zs[-1]
    L = (A * A).sum((1, 2, 3)) / 2
    G = A
    for i in range(len(Ws) - 1, -1, -1):
        G = conv2d_backward(G * (Zs[i + 1] > 0), Zs[i], Ws[i], bs[i], 1, Ws[i].shape[2] // 2)[0]
    G = G / G.abs().mean((1, 2, 3), keepdim=True)
    return L, X + alpha * G.roll((-dy, -dx), (2, 3))


# %% dream_step: did not roll the step back
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    Zs = [X.roll((dy, dx), (2, 3))]
    for W, b in zip(Ws, bs):
        Zs.append(F.conv2d(Zs[-1], W, b, padding=W.shape[2] // 2).relu())
    A = Zs[-1]
    L = (A * A).sum((1, 2, 3)) / 2
    G = A
    for i in range(len(Ws) - 1, -1, -1):
        G = conv2d_backward(G * (Zs[i + 1] > 0), Zs[i], Ws[i], bs[i], 1, Ws[i].shape[2] // 2)[0]
    G = G / (G.abs().mean((1, 2, 3), keepdim=True) + eps)
    return L, X + alpha * G


# %% dream_step: rolled the step on instead of back
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    Zs = [X.roll((dy, dx), (2, 3))]
    for W, b in zip(Ws, bs):
        Zs.append(F.conv2d(Zs[-1], W, b, padding=W.shape[2] // 2).relu())
    A = Zs[-1]
    L = (A * A).sum((1, 2, 3)) / 2
    G = A
    for i in range(len(Ws) - 1, -1, -1):
        G = conv2d_backward(G * (Zs[i + 1] > 0), Zs[i], Ws[i], bs[i], 1, Ws[i].shape[2] // 2)[0]
    G = G / (G.abs().mean((1, 2, 3), keepdim=True) + eps)
    return L, X + alpha * G.roll((dy, dx), (2, 3))


# %% dream_step: returned the images rolled
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    Zs = [X.roll((dy, dx), (2, 3))]
    for W, b in zip(Ws, bs):
        Zs.append(F.conv2d(Zs[-1], W, b, padding=W.shape[2] // 2).relu())
    A = Zs[-1]
    L = (A * A).sum((1, 2, 3)) / 2
    G = A
    for i in range(len(Ws) - 1, -1, -1):
        G = conv2d_backward(G * (Zs[i + 1] > 0), Zs[i], Ws[i], bs[i], 1, Ws[i].shape[2] // 2)[0]
    G = G / (G.abs().mean((1, 2, 3), keepdim=True) + eps)
    return L, Zs[0] + alpha * G


# %% dream_step: left out the jitter
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    Zs = [X]
    for W, b in zip(Ws, bs):
        Zs.append(F.conv2d(Zs[-1], W, b, padding=W.shape[2] // 2).relu())
    A = Zs[-1]
    L = (A * A).sum((1, 2, 3)) / 2
    G = A
    for i in range(len(Ws) - 1, -1, -1):
        G = conv2d_backward(G * (Zs[i + 1] > 0), Zs[i], Ws[i], bs[i], 1, Ws[i].shape[2] // 2)[0]
    G = G / (G.abs().mean((1, 2, 3), keepdim=True) + eps)
    return L, X + alpha * G


# %% dream_step: climbed the sum of the activations, not half of their squares
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    Zs = [X.roll((dy, dx), (2, 3))]
    for W, b in zip(Ws, bs):
        Zs.append(F.conv2d(Zs[-1], W, b, padding=W.shape[2] // 2).relu())
    A = Zs[-1]
    L = A.sum((1, 2, 3))
    G = torch.ones_like(A)
    for i in range(len(Ws) - 1, -1, -1):
        G = conv2d_backward(G * (Zs[i + 1] > 0), Zs[i], Ws[i], bs[i], 1, Ws[i].shape[2] // 2)[0]
    G = G / (G.abs().mean((1, 2, 3), keepdim=True) + eps)
    return L, X + alpha * G.roll((-dy, -dx), (2, 3))


# %% dream_step: left out the ½
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    Zs = [X.roll((dy, dx), (2, 3))]
    for W, b in zip(Ws, bs):
        Zs.append(F.conv2d(Zs[-1], W, b, padding=W.shape[2] // 2).relu())
    A = Zs[-1]
    L = (A * A).sum((1, 2, 3))
    G = 2 * A
    for i in range(len(Ws) - 1, -1, -1):
        G = conv2d_backward(G * (Zs[i + 1] > 0), Zs[i], Ws[i], bs[i], 1, Ws[i].shape[2] // 2)[0]
    G = G / (G.abs().mean((1, 2, 3), keepdim=True) + eps)
    return L, X + alpha * G.roll((-dy, -dx), (2, 3))


# %% dream_step: added up L over the batch
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    Zs = [X.roll((dy, dx), (2, 3))]
    for W, b in zip(Ws, bs):
        Zs.append(F.conv2d(Zs[-1], W, b, padding=W.shape[2] // 2).relu())
    A = Zs[-1]
    L = (A * A).sum() / 2
    G = A
    for i in range(len(Ws) - 1, -1, -1):
        G = conv2d_backward(G * (Zs[i + 1] > 0), Zs[i], Ws[i], bs[i], 1, Ws[i].shape[2] // 2)[0]
    G = G / (G.abs().mean((1, 2, 3), keepdim=True) + eps)
    return L, X + alpha * G.roll((-dy, -dx), (2, 3))


# %% dream_step: let the gradient through the inner ReLUs where they are off
def dream_step(X, Ws, bs, dy, dx, alpha, eps):
    Zs = [X.roll((dy, dx), (2, 3))]
    for W, b in zip(Ws, bs):
        Zs.append(F.conv2d(Zs[-1], W, b, padding=W.shape[2] // 2).relu())
    A = Zs[-1]
    L = (A * A).sum((1, 2, 3)) / 2
    G = A * (A > 0)
    for i in range(len(Ws) - 1, -1, -1):
        G = conv2d_backward(G, Zs[i], Ws[i], bs[i], 1, Ws[i].shape[2] // 2)[0]
    G = G / (G.abs().mean((1, 2, 3), keepdim=True) + eps)
    return L, X + alpha * G.roll((-dy, -dx), (2, 3))


# %% total_variation_gradient: returned the step that smooths, -G_X
def total_variation_gradient(X, eps):
    D = F.pad(X[:, :, 1:] - X[:, :, :-1], (0, 0, 0, 1))
    R = F.pad(X[:, :, :, 1:] - X[:, :, :, :-1], (0, 1, 0, 0))
    r = torch.sqrt(D**2 + R**2 + eps)
    G_D, G_R = D / r, R / r
    G_X = -G_D - G_R
    G_X[:, :, 1:] += G_D[:, :, :-1]
    G_X[:, :, :, 1:] += G_R[:, :, :, :-1]
    return r.sum(), -G_X


# %% total_variation_gradient: counted each pixel in its own root alone
def total_variation_gradient(X, eps):
    D = F.pad(X[:, :, 1:] - X[:, :, :-1], (0, 0, 0, 1))
    R = F.pad(X[:, :, :, 1:] - X[:, :, :, :-1], (0, 1, 0, 0))
    r = torch.sqrt(D**2 + R**2 + eps)
    G_D, G_R = D / r, R / r
    G_X = -G_D - G_R
    return r.sum(), G_X


# %% total_variation_gradient: counted each pixel in its neighbours' roots alone
def total_variation_gradient(X, eps):
    D = F.pad(X[:, :, 1:] - X[:, :, :-1], (0, 0, 0, 1))
    R = F.pad(X[:, :, :, 1:] - X[:, :, :, :-1], (0, 1, 0, 0))
    r = torch.sqrt(D**2 + R**2 + eps)
    G_D, G_R = D / r, R / r
    G_X = torch.zeros_like(X)
    G_X[:, :, 1:] += G_D[:, :, :-1]
    G_X[:, :, :, 1:] += G_R[:, :, :, :-1]
    return r.sum(), G_X


# %% total_variation_gradient: wrapped around at the borders
def total_variation_gradient(X, eps):
    D, R = X.roll(-1, 2) - X, X.roll(-1, 3) - X
    r = torch.sqrt(D**2 + R**2 + eps)
    return r.sum(), (D / r).roll(1, 2) - D / r + (R / r).roll(1, 3) - R / r


# %% total_variation_gradient: left out the root
def total_variation_gradient(X, eps):
    D = F.pad(X[:, :, 1:] - X[:, :, :-1], (0, 0, 0, 1))
    R = F.pad(X[:, :, :, 1:] - X[:, :, :, :-1], (0, 1, 0, 0))
    r = D**2 + R**2 + eps
    G_D, G_R = 2 * D, 2 * R
    G_X = -G_D - G_R
    G_X[:, :, 1:] += G_D[:, :, :-1]
    G_X[:, :, :, 1:] += G_R[:, :, :, :-1]
    return r.sum(), G_X


# %% total_variation_gradient: took two roots, one for each direction
def total_variation_gradient(X, eps):
    D = F.pad(X[:, :, 1:] - X[:, :, :-1], (0, 0, 0, 1))
    R = F.pad(X[:, :, :, 1:] - X[:, :, :, :-1], (0, 1, 0, 0))
    r_D, r_R = torch.sqrt(D**2 + eps), torch.sqrt(R**2 + eps)
    G_D, G_R = D / r_D, R / r_R
    G_X = -G_D - G_R
    G_X[:, :, 1:] += G_D[:, :, :-1]
    G_X[:, :, :, 1:] += G_R[:, :, :, :-1]
    return r_D.sum() + r_R.sum(), G_X


# %% total_variation_gradient: left out ε
def total_variation_gradient(X, eps):
    D = F.pad(X[:, :, 1:] - X[:, :, :-1], (0, 0, 0, 1))
    R = F.pad(X[:, :, :, 1:] - X[:, :, :, :-1], (0, 1, 0, 0))
    r = torch.sqrt(D**2 + R**2)
    G_D, G_R = torch.nan_to_num(D / r), torch.nan_to_num(R / r)
    G_X = -G_D - G_R
    G_X[:, :, 1:] += G_D[:, :, :-1]
    G_X[:, :, :, 1:] += G_R[:, :, :, :-1]
    return r.sum(), G_X


# %% total_variation_gradient: put ε outside the root
def total_variation_gradient(X, eps):
    D = F.pad(X[:, :, 1:] - X[:, :, :-1], (0, 0, 0, 1))
    R = F.pad(X[:, :, :, 1:] - X[:, :, :, :-1], (0, 1, 0, 0))
    r = torch.sqrt(D**2 + R**2)
    G_D, G_R = torch.nan_to_num(D / r), torch.nan_to_num(R / r)
    G_X = -G_D - G_R
    G_X[:, :, 1:] += G_D[:, :, :-1]
    G_X[:, :, :, 1:] += G_R[:, :, :, :-1]
    return (r + eps).sum(), G_X


# %% total_variation_gradient: left out the last row and column
def total_variation_gradient(X, eps):
    here = X[:, :, :-1, :-1]
    D, R = X[:, :, 1:, :-1] - here, X[:, :, :-1, 1:] - here
    r = torch.sqrt(D**2 + R**2 + eps)
    G_X = torch.zeros_like(X)
    G_X[:, :, :-1, :-1] -= (D + R) / r
    G_X[:, :, 1:, :-1] += D / r
    G_X[:, :, :-1, 1:] += R / r
    return r.sum(), G_X


# %% total_variation_gradient: took the mean over all pixels
def total_variation_gradient(X, eps):
    D = F.pad(X[:, :, 1:] - X[:, :, :-1], (0, 0, 0, 1))
    R = F.pad(X[:, :, :, 1:] - X[:, :, :, :-1], (0, 1, 0, 0))
    r = torch.sqrt(D**2 + R**2 + eps)
    G_D, G_R = D / r, R / r
    G_X = -G_D - G_R
    G_X[:, :, 1:] += G_D[:, :, :-1]
    G_X[:, :, :, 1:] += G_R[:, :, :, :-1]
    return r.mean(), G_X / X.numel()


# %% total_variation_gradient: averaged over the batch
def total_variation_gradient(X, eps):
    D = F.pad(X[:, :, 1:] - X[:, :, :-1], (0, 0, 0, 1))
    R = F.pad(X[:, :, :, 1:] - X[:, :, :, :-1], (0, 1, 0, 0))
    r = torch.sqrt(D**2 + R**2 + eps)
    G_D, G_R = D / r, R / r
    G_X = -G_D - G_R
    G_X[:, :, 1:] += G_D[:, :, :-1]
    G_X[:, :, :, 1:] += G_R[:, :, :, :-1]
    return r.sum() / len(X), G_X / len(X)
