"""Every listed mistake of the lab `convnets`, as the code that a student would hand in.

A cell's title is `question: sentence`; it runs after all solutions of the lab, in their namespace.
"""
# ruff: noqa: F811, F821


# %% circulant: flipped the filter
def circulant(w, n):
    k = len(w)
    C = torch.zeros(n, n)
    for i in range(n):
        for j in range(k):
            C[i, (i + j - k // 2) % n] = w[k - 1 - j]
    return C


# %% circulant: put w_1 on the diagonal: left out c
def circulant(w, n):
    C = torch.zeros(n, n)
    for i in range(n):
        for j in range(len(w)):
            C[i, (i + j) % n] = w[j]
    return C


# %% circulant: took c = k / 2 rounded down, not (k - 1) / 2
def circulant(w, n):
    k = len(w)
    row = torch.zeros(n)
    row[:k] = w
    return torch.stack([row.roll(i - k // 2) for i in range(n)])


# %% circulant: did not wrap around at the ends
def circulant(w, n):
    k = len(w)
    C = torch.zeros(n, n)
    for i in range(n):
        for j in range(k):
            column = i + j - (k - 1) // 2
            if 0 <= column < n:
                C[i, column] = w[j]
    return C


# %% select_valid: began with column 0: left out c
def select_valid(n, k):
    S = torch.zeros(n - k + 1, n)
    for i in range(n - k + 1):
        S[i, i] = 1
    return S


# %% select_valid: took c = k / 2 rounded down, not (k - 1) / 2
def select_valid(n, k):
    S = torch.zeros(n - k + 1, n)
    for i in range(n - k + 1):
        S[i, i + k // 2] = 1
    return S


# %% select_valid: kept n - k rows, one too few
def select_valid(n, k):
    c = (k - 1) // 2
    return torch.eye(n)[c : c + n - k]


# %% select_valid: returned the zero padding, the transpose of S
def select_valid(n, k):
    c = (k - 1) // 2
    S = torch.zeros(n, n - k + 1)
    for i in range(n - k + 1):
        S[i + c, i] = 1
    return S


# %% select_valid: kept all n rows, with zeros where an entry is not valid
def select_valid(n, k):
    c = (k - 1) // 2
    S = torch.zeros(n, n)
    for i in range(c, c + n - k + 1):
        S[i, i] = 1
    return S


# %% conv1d_backward: did not flip the filter
def conv1d_backward(G, z, w):
    k = len(w)
    G_z = F.conv1d(F.pad(G, (k - 1, k - 1))[None, None], w[None, None])[0, 0]
    G_w = F.conv1d(z[None, None], G[None, None])[0, 0]
    return G_z, G_w


# %% conv1d_backward: returned the gradient of the flipped filter
def conv1d_backward(G, z, w):
    k = len(w)
    G_z = F.conv1d(F.pad(G, (k - 1, k - 1))[None, None], w.flip(0)[None, None])[0, 0]
    G_w = torch.stack([(G * z[k - 1 - j : k - 1 - j + len(G)]).sum() for j in range(k)])
    return G_z, G_w


# %% conv1d_backward: padded G with (k - 1) / 2 zeros on each side instead of k - 1
def conv1d_backward(G, z, w):
    around = (len(w) - 1) // 2
    G_z = F.conv1d(F.pad(G, (around, around))[None, None], w.flip(0)[None, None])[0, 0]
    G_w = F.conv1d(z[None, None], G[None, None])[0, 0]
    return G_z, G_w


# %% conv1d_backward: returned G_w and G_z in each other's place
def conv1d_backward(G, z, w):
    k = len(w)
    G_z = F.conv1d(F.pad(G, (k - 1, k - 1))[None, None], w.flip(0)[None, None])[0, 0]
    G_w = F.conv1d(z[None, None], G[None, None])[0, 0]
    return G_w, G_z


# %% conv2d_forward: ignored the stride
def conv2d_forward(Z, W, b, stride, padding):
    Z = F.pad(Z, (padding, padding, padding, padding))
    P, Q = Z.shape[2] - W.shape[2] + 1, Z.shape[3] - W.shape[3] + 1
    A = torch.zeros(len(Z), len(W), P, Q)
    for u in range(W.shape[2]):
        for v in range(W.shape[3]):
            A += torch.einsum("ncij,kc->nkij", Z[:, :, u : u + P, v : v + Q], W[:, :, u, v])
    return A + b[:, None, None]


# %% conv2d_forward: left out the padding
def conv2d_forward(Z, W, b, stride, padding):
    windows = Z.unfold(2, W.shape[2], stride).unfold(3, W.shape[3], stride)
    return torch.einsum("ncijuv,kcuv->nkij", windows, W) + b[:, None, None]


# %% conv2d_forward: padded at the lower and right ends only
def conv2d_forward(Z, W, b, stride, padding):
    N, C, H, width = Z.shape
    larger = torch.zeros(N, C, H + 2 * padding, width + 2 * padding)
    larger[:, :, :H, :width] = Z
    windows = larger.unfold(2, W.shape[2], stride).unfold(3, W.shape[3], stride)
    return torch.einsum("ncijuv,kcuv->nkij", windows, W) + b[:, None, None]


# %% conv2d_forward: flipped the filter: a convolution as mathematics has it
def conv2d_forward(Z, W, b, stride, padding):
    k_H, k_W = W.shape[2:]
    Z = F.pad(Z, 4 * [padding])
    P, Q = (Z.shape[2] - k_H) // stride + 1, (Z.shape[3] - k_W) // stride + 1
    A = torch.zeros(len(Z), len(W), P, Q)
    for u in range(k_H):
        for v in range(k_W):
            met = Z[:, :, u : u + stride * P : stride, v : v + stride * Q : stride]
            A += torch.einsum("ncij,kc->nkij", met, W[:, :, k_H - 1 - u, k_W - 1 - v])
    return A + b[:, None, None]


# %% conv2d_forward: swapped H and W of the filter
def conv2d_forward(Z, W, b, stride, padding):
    k_W, k_H = W.shape[2:]
    windows = F.pad(Z, 4 * [padding]).unfold(2, k_H, stride).unfold(3, k_W, stride)
    return torch.einsum("ncijuv,kcvu->nkij", windows, W) + b[:, None, None]


# %% conv2d_forward: left out the bias
def conv2d_forward(Z, W, b, stride, padding):
    windows = F.pad(Z, 4 * [padding]).unfold(2, W.shape[2], stride).unfold(3, W.shape[3], stride)
    return torch.einsum("ncijuv,kcuv->nkij", windows, W)


# %% conv2d_forward: left out the last row and column of windows
def conv2d_forward(Z, W, b, stride, padding):
    (K, _, k_H, k_W), Z = W.shape, F.pad(Z, 4 * [padding])
    P, Q = (Z.shape[2] - k_H) // stride, (Z.shape[3] - k_W) // stride
    A = torch.zeros(len(Z), K, P, Q)
    for i in range(P):
        for j in range(Q):
            window = Z[:, :, i * stride : i * stride + k_H, j * stride : j * stride + k_W]
            A[:, :, i, j] = torch.einsum("ncuv,kcuv->nk", window, W) + b
    return A


# %% conv2d_forward: right only where the stride divides: began a window that does not fit
def conv2d_forward(Z, W, b, stride, padding):
    k_H, k_W = W.shape[2:]
    Z = F.pad(Z, 4 * [padding])
    P, Q = math.ceil((Z.shape[2] - k_H) / stride) + 1, math.ceil((Z.shape[3] - k_W) / stride) + 1
    A = torch.zeros(len(Z), len(W), P, Q)
    for i in range(P):
        for j in range(Q):
            window = Z[:, :, i * stride : i * stride + k_H, j * stride : j * stride + k_W]
            rows, columns = window.shape[2:]
            A[:, :, i, j] = torch.einsum("ncuv,kcuv->nk", window, W[:, :, :rows, :columns]) + b
    return A


# %% conv2d_forward: summed over the filter's places but kept one channel only
def conv2d_forward(Z, W, b, stride, padding):
    windows = F.pad(Z, 4 * [padding]).unfold(2, W.shape[2], stride).unfold(3, W.shape[3], stride)
    return torch.einsum("nijuv,kuv->nkij", windows[:, 0], W[:, 0]) + b[:, None, None]


# %% conv2d_backward: ignored the stride
def conv2d_backward(G, Z, W, b, stride, padding):
    Z_pad = F.pad(Z, 4 * [padding])
    G_pad, G_W = torch.zeros_like(Z_pad), torch.zeros_like(W)
    k_H, k_W = W.shape[2:]
    for i in range(G.shape[2]):
        for j in range(G.shape[3]):
            G_pad[:, :, i : i + k_H, j : j + k_W] += torch.einsum("nk,kcuv->ncuv", G[:, :, i, j], W)
            G_W += torch.einsum("nk,ncuv->kcuv", G[:, :, i, j], Z_pad[:, :, i : i + k_H, j : j + k_W])
    G_Z = G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]
    return G_Z, G_W, G.sum((0, 2, 3))


# %% conv2d_backward: right only where the stride divides: G_Z ends with the last window
def conv2d_backward(G, Z, W, b, stride, padding):
    (N, K, P, Q), (_, _, k_H, k_W) = G.shape, W.shape
    spread = torch.zeros(N, K, stride * (P - 1) + 1, stride * (Q - 1) + 1)
    spread[:, :, ::stride, ::stride] = G
    wide = F.pad(spread, (k_W - 1, k_W - 1, k_H - 1, k_H - 1))
    G_Z = F.conv2d(wide, W.flip(2, 3).transpose(0, 1))
    G_Z = G_Z[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]
    G_W = F.conv2d(F.pad(Z, 4 * [padding]).transpose(0, 1), G.transpose(0, 1), dilation=stride).transpose(0, 1)
    return G_Z, G_W[:, :, :k_H, :k_W], G.sum((0, 2, 3))


# %% conv2d_backward: right only where the stride divides: G_W reaches into what is left over
def conv2d_backward(G, Z, W, b, stride, padding):
    P, Q = G.shape[2:]
    Z_pad = F.pad(Z, 4 * [padding])
    G_pad = torch.zeros_like(Z_pad)
    for u in range(W.shape[2]):
        for v in range(W.shape[3]):
            met = (..., slice(u, u + stride * P, stride), slice(v, v + stride * Q, stride))
            G_pad[met] += torch.einsum("nkij,kc->ncij", G, W[:, :, u, v])
    G_Z = G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]
    G_W = F.conv2d(Z_pad.transpose(0, 1), G.transpose(0, 1), dilation=stride).transpose(0, 1)
    return G_Z, G_W, G.sum((0, 2, 3))


# %% conv2d_backward: did not flip the filter
def conv2d_backward(G, Z, W, b, stride, padding):
    (P, Q), (k_H, k_W) = G.shape[2:], W.shape[2:]
    Z_pad = F.pad(Z, 4 * [padding])
    G_pad, G_W = torch.zeros_like(Z_pad), torch.zeros_like(W)
    for u in range(k_H):
        for v in range(k_W):
            met = (..., slice(u, u + stride * P, stride), slice(v, v + stride * Q, stride))
            G_W[:, :, u, v] = torch.einsum("nkij,ncij->kc", G, Z_pad[met])
            G_pad[met] += torch.einsum("nkij,kc->ncij", G, W[:, :, k_H - 1 - u, k_W - 1 - v])
    G_Z = G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]
    return G_Z, G_W, G.sum((0, 2, 3))


# %% conv2d_backward: swapped H and W of the filter's gradient
def conv2d_backward(G, Z, W, b, stride, padding):
    (P, Q), (K, C, k_H, k_W) = G.shape[2:], W.shape
    Z_pad = F.pad(Z, 4 * [padding])
    G_pad, G_W = torch.zeros_like(Z_pad), torch.zeros(K, C, k_W, k_H)
    for u in range(k_H):
        for v in range(k_W):
            met = (..., slice(u, u + stride * P, stride), slice(v, v + stride * Q, stride))
            G_W[:, :, v, u] = torch.einsum("nkij,ncij->kc", G, Z_pad[met])
            G_pad[met] += torch.einsum("nkij,kc->ncij", G, W[:, :, u, v])
    G_Z = G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]
    return G_Z, G_W, G.sum((0, 2, 3))


# %% conv2d_backward: did not cut the padding off G_Z
def conv2d_backward(G, Z, W, b, stride, padding):
    P, Q = G.shape[2:]
    Z_pad = F.pad(Z, 4 * [padding])
    G_Z, G_W = torch.zeros_like(Z_pad), torch.zeros_like(W)
    for u in range(W.shape[2]):
        for v in range(W.shape[3]):
            met = (..., slice(u, u + stride * P, stride), slice(v, v + stride * Q, stride))
            G_W[:, :, u, v] = torch.einsum("nkij,ncij->kc", G, Z_pad[met])
            G_Z[met] += torch.einsum("nkij,kc->ncij", G, W[:, :, u, v])
    return G_Z, G_W, G.sum((0, 2, 3))


# %% conv2d_backward: did not sum the filter's gradient over the batch
def conv2d_backward(G, Z, W, b, stride, padding):
    P, Q = G.shape[2:]
    Z_pad = F.pad(Z, 4 * [padding])
    G_pad, G_W = torch.zeros_like(Z_pad), torch.zeros(len(Z), *W.shape)
    for u in range(W.shape[2]):
        for v in range(W.shape[3]):
            met = (..., slice(u, u + stride * P, stride), slice(v, v + stride * Q, stride))
            G_W[..., u, v] = torch.einsum("nkij,ncij->nkc", G, Z_pad[met])
            G_pad[met] += torch.einsum("nkij,kc->ncij", G, W[:, :, u, v])
    G_Z = G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]
    return G_Z, G_W, G.sum((0, 2, 3))


# %% conv2d_backward: kept only the last example's gradient of the filter
def conv2d_backward(G, Z, W, b, stride, padding):
    P, Q = G.shape[2:]
    Z_pad = F.pad(Z, 4 * [padding])
    G_pad, G_W = torch.zeros_like(Z_pad), torch.zeros_like(W)
    for n in range(len(Z)):
        for u in range(W.shape[2]):
            for v in range(W.shape[3]):
                met = (n, slice(None), slice(u, u + stride * P, stride), slice(v, v + stride * Q, stride))
                G_W[:, :, u, v] = torch.einsum("kij,cij->kc", G[n], Z_pad[met])
                G_pad[met] += torch.einsum("kij,kc->cij", G[n], W[:, :, u, v])
    G_Z = G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]
    return G_Z, G_W, G.sum((0, 2, 3))


# %% conv2d_backward: averaged over the batch, which belongs to the loss
def conv2d_backward(G, Z, W, b, stride, padding):
    N, _, P, Q = G.shape
    Z_pad = F.pad(Z, 4 * [padding])
    G_pad, G_W = torch.zeros_like(Z_pad), torch.zeros_like(W)
    for u in range(W.shape[2]):
        for v in range(W.shape[3]):
            met = (..., slice(u, u + stride * P, stride), slice(v, v + stride * Q, stride))
            G_W[:, :, u, v] = torch.einsum("nkij,ncij->kc", G, Z_pad[met]) / N
            G_pad[met] += torch.einsum("nkij,kc->ncij", G, W[:, :, u, v])
    G_Z = G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]
    return G_Z, G_W, G.sum((2, 3)).mean(0)


# %% conv2d_backward: summed the bias gradient over the channels, too
def conv2d_backward(G, Z, W, b, stride, padding):
    P, Q = G.shape[2:]
    Z_pad = F.pad(Z, 4 * [padding])
    G_pad, G_W = torch.zeros_like(Z_pad), torch.zeros_like(W)
    for u in range(W.shape[2]):
        for v in range(W.shape[3]):
            met = (..., slice(u, u + stride * P, stride), slice(v, v + stride * Q, stride))
            G_W[:, :, u, v] = torch.einsum("nkij,ncij->kc", G, Z_pad[met])
            G_pad[met] += torch.einsum("nkij,kc->ncij", G, W[:, :, u, v])
    G_Z = G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]
    return G_Z, G_W, G.sum()


# %% conv2d_backward: did not sum the bias gradient over the batch
def conv2d_backward(G, Z, W, b, stride, padding):
    P, Q = G.shape[2:]
    Z_pad = F.pad(Z, 4 * [padding])
    G_pad, G_W = torch.zeros_like(Z_pad), torch.zeros_like(W)
    for u in range(W.shape[2]):
        for v in range(W.shape[3]):
            met = (..., slice(u, u + stride * P, stride), slice(v, v + stride * Q, stride))
            G_W[:, :, u, v] = torch.einsum("nkij,ncij->kc", G, Z_pad[met])
            G_pad[met] += torch.einsum("nkij,kc->ncij", G, W[:, :, u, v])
    G_Z = G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]
    return G_Z, G_W, G.sum((2, 3))


# %% conv2d_backward: averaged the bias gradient over the places
def conv2d_backward(G, Z, W, b, stride, padding):
    P, Q = G.shape[2:]
    Z_pad = F.pad(Z, 4 * [padding])
    G_pad, G_W = torch.zeros_like(Z_pad), torch.zeros_like(W)
    for u in range(W.shape[2]):
        for v in range(W.shape[3]):
            met = (..., slice(u, u + stride * P, stride), slice(v, v + stride * Q, stride))
            G_W[:, :, u, v] = torch.einsum("nkij,ncij->kc", G, Z_pad[met])
            G_pad[met] += torch.einsum("nkij,kc->ncij", G, W[:, :, u, v])
    G_Z = G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]
    return G_Z, G_W, G.mean((2, 3)).sum(0)


# %% max_pool_backward: padded with zeros instead of -∞
def max_pool_backward(G, Z, size, stride, padding):
    Z_pad = F.pad(Z, 4 * [padding])
    G_pad = torch.zeros_like(Z_pad)
    for n, c, i, j in np.ndindex(*G.shape):
        window = Z_pad[n, c, i * stride : i * stride + size, j * stride : j * stride + size]
        u, v = divmod(window.argmax().item(), size)
        G_pad[n, c, i * stride + u, j * stride + v] += G[n, c, i, j]
    return G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]


# %% max_pool_backward: gave each of several equal maxima the whole gradient
def max_pool_backward(G, Z, size, stride, padding):
    Z_pad = F.pad(Z, 4 * [padding], value=-torch.inf)
    G_pad = torch.zeros_like(Z_pad)
    for i in range(G.shape[2]):
        for j in range(G.shape[3]):
            here = (..., slice(i * stride, i * stride + size), slice(j * stride, j * stride + size))
            G_pad[here] += (Z_pad[here] == Z_pad[here].amax((2, 3), keepdim=True)) * G[:, :, i, j, None, None]
    return G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]


# %% max_pool_backward: assigned where windows overlap, instead of adding
def max_pool_backward(G, Z, size, stride, padding):
    Z_pad = F.pad(Z, 4 * [padding], value=-torch.inf)
    G_pad = torch.zeros_like(Z_pad)
    for n, c, i, j in np.ndindex(*G.shape):
        window = Z_pad[n, c, i * stride : i * stride + size, j * stride : j * stride + size]
        u, v = divmod(window.argmax().item(), size)
        G_pad[n, c, i * stride + u, j * stride + v] = G[n, c, i, j]
    return G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]


# %% max_pool_backward: gave the gradient to every entry of the window
def max_pool_backward(G, Z, size, stride, padding):
    G_pad = torch.zeros_like(F.pad(Z, 4 * [padding]))
    for i in range(G.shape[2]):
        for j in range(G.shape[3]):
            here = (..., slice(i * stride, i * stride + size), slice(j * stride, j * stride + size))
            G_pad[here] += G[:, :, i, j, None, None]
    return G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]


# %% max_pool_backward: divided the gradient among all entries of the window
def max_pool_backward(G, Z, size, stride, padding):
    G_pad = torch.zeros_like(F.pad(Z, 4 * [padding]))
    for i in range(G.shape[2]):
        for j in range(G.shape[3]):
            here = (..., slice(i * stride, i * stride + size), slice(j * stride, j * stride + size))
            G_pad[here] += G[:, :, i, j, None, None] / size**2
    return G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]


# %% max_pool_backward: ignored the stride
def max_pool_backward(G, Z, size, stride, padding):
    Z_pad = F.pad(Z, 4 * [padding], value=-torch.inf)
    G_pad = torch.zeros_like(Z_pad)
    for n, c, i, j in np.ndindex(*G.shape):
        u, v = divmod(Z_pad[n, c, i : i + size, j : j + size].argmax().item(), size)
        G_pad[n, c, i + u, j + v] += G[n, c, i, j]
    return G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]


# %% batch_norm_backward: left out the gradient through the mean
def batch_norm_backward(G, Z, gamma, beta, eps):
    gamma, over = gamma[:, None, None], (0, 2, 3)
    mu, v = Z.mean(over, keepdim=True), Z.var(over, correction=0, keepdim=True)
    m = Z[:, 0].numel()
    root = torch.sqrt(v + eps)
    G_hat = gamma * G
    G_v = (G_hat * (Z - mu)).sum(over, keepdim=True) * -0.5 * (v + eps) ** -1.5
    G_Z = G_hat / root + G_v * 2 * (Z - mu) / m
    return G_Z, (G * (Z - mu) / root).sum(over), G.sum(over)


# %% batch_norm_backward: left out the gradient through the variance
def batch_norm_backward(G, Z, gamma, beta, eps):
    gamma, over = gamma[:, None, None], (0, 2, 3)
    mu, v = Z.mean(over, keepdim=True), Z.var(over, correction=0, keepdim=True)
    root = torch.sqrt(v + eps)
    G_hat = gamma * G / root
    G_Z = G_hat - G_hat.mean(over, keepdim=True)
    return G_Z, (G * (Z - mu) / root).sum(over), G.sum(over)


# %% batch_norm_backward: took mean and variance for constants, which is evaluation
def batch_norm_backward(G, Z, gamma, beta, eps):
    mu, v = Z.mean((0, 2, 3), keepdim=True), Z.var((0, 2, 3), correction=0, keepdim=True)
    Z_hat = (Z - mu) / torch.sqrt(v + eps)
    return gamma[:, None, None] * G / torch.sqrt(v + eps), (G * Z_hat).sum((0, 2, 3)), G.sum((0, 2, 3))


# %% batch_norm_backward: took the unbiased variance
def batch_norm_backward(G, Z, gamma, beta, eps):
    gamma, over = gamma[:, None, None], (0, 2, 3)
    m = Z[:, 0].numel()
    mu, v = Z.mean(over, keepdim=True), Z.var(over, keepdim=True)
    root = torch.sqrt(v + eps)
    G_hat = gamma * G
    G_v = (G_hat * (Z - mu)).sum(over, keepdim=True) * -0.5 * (v + eps) ** -1.5
    G_mu = -(G_hat / root).sum(over, keepdim=True)
    G_Z = G_hat / root + G_v * 2 * (Z - mu) / (m - 1) + G_mu / m
    return G_Z, (G * (Z - mu) / root).sum(over), G.sum(over)


# %% batch_norm_backward: left out ε
def batch_norm_backward(G, Z, gamma, beta, eps):
    over = dict(dim=(0, 2, 3), keepdim=True)
    std = Z.std(correction=0, **over)
    Z_hat = (Z - Z.mean(**over)) / std
    G_hat = G - G.mean(**over) - Z_hat * (G * Z_hat).mean(**over)
    return gamma[:, None, None] * G_hat / std, (G * Z_hat).sum((0, 2, 3)), G.sum((0, 2, 3))


# %% batch_norm_backward: put ε outside the root
def batch_norm_backward(G, Z, gamma, beta, eps):
    gamma, over = gamma[:, None, None], (0, 2, 3)
    m = Z[:, 0].numel()
    mu, v = Z.mean(over, keepdim=True), Z.var(over, correction=0, keepdim=True)
    std = v.sqrt() + eps
    G_hat = gamma * G
    G_std = -(G_hat * (Z - mu)).sum(over, keepdim=True) / std**2
    G_centred = G_hat / std + G_std / v.sqrt() * (Z - mu) / m
    G_Z = G_centred - G_centred.mean(over, keepdim=True)
    return G_Z, (G * (Z - mu) / std).sum(over), G.sum(over)


# %% batch_norm_backward: took the statistics of each image on its own
def batch_norm_backward(G, Z, gamma, beta, eps):
    over = dict(dim=(2, 3), keepdim=True)
    root = (Z.var(correction=0, **over) + eps).sqrt()
    Z_hat = (Z - Z.mean(**over)) / root
    G_hat = G - G.mean(**over) - Z_hat * (G * Z_hat).mean(**over)
    return gamma[:, None, None] * G_hat / root, (G * Z_hat).sum((0, 2, 3)), G.sum((0, 2, 3))


# %% batch_norm_backward: took the statistics over the batch alone, place by place
def batch_norm_backward(G, Z, gamma, beta, eps):
    root = (Z.var(0, correction=0) + eps).sqrt()
    Z_hat = (Z - Z.mean(0)) / root
    G_hat = G - G.mean(0) - Z_hat * (G * Z_hat).mean(0)
    return gamma[:, None, None] * G_hat / root, (G * Z_hat).sum((0, 2, 3)), G.sum((0, 2, 3))


# %% batch_norm_backward: left γ out of G_Z
def batch_norm_backward(G, Z, gamma, beta, eps):
    over = dict(dim=(0, 2, 3), keepdim=True)
    root = (Z.var(correction=0, **over) + eps).sqrt()
    Z_hat = (Z - Z.mean(**over)) / root
    G_Z = (G - G.mean(**over) - Z_hat * (G * Z_hat).mean(**over)) / root
    return G_Z, (G * Z_hat).sum((0, 2, 3)), G.sum((0, 2, 3))


# %% batch_norm_backward: summed the gradient of β over the batch alone
def batch_norm_backward(G, Z, gamma, beta, eps):
    over = dict(dim=(0, 2, 3), keepdim=True)
    root = (Z.var(correction=0, **over) + eps).sqrt()
    Z_hat = (Z - Z.mean(**over)) / root
    G_hat = G - G.mean(**over) - Z_hat * (G * Z_hat).mean(**over)
    return gamma[:, None, None] * G_hat / root, (G * Z_hat).sum((0, 2, 3)), G.sum(0)


# %% residual_block_backward: left the shortcut's part out of G_Z
def residual_block_backward(G, Z, W_1, b_1, W_2, b_2):
    A = conv2d_forward(Z, W_1, b_1, 1, 1)
    H = torch.relu(A)
    G = G * (conv2d_forward(H, W_2, b_2, 1, 1) + Z > 0)
    G_H, G_W_2, G_b_2 = conv2d_backward(G, H, W_2, b_2, 1, 1)
    G_Z, G_W_1, G_b_1 = conv2d_backward(G_H * (A > 0), Z, W_1, b_1, 1, 1)
    return G_Z, G_W_1, G_b_1, G_W_2, G_b_2


# %% residual_block_backward: left F's part out of G_Z
def residual_block_backward(G, Z, W_1, b_1, W_2, b_2):
    A = conv2d_forward(Z, W_1, b_1, 1, 1)
    H = torch.relu(A)
    G = G * (conv2d_forward(H, W_2, b_2, 1, 1) + Z > 0)
    G_H, G_W_2, G_b_2 = conv2d_backward(G, H, W_2, b_2, 1, 1)
    _, G_W_1, G_b_1 = conv2d_backward(G_H * (A > 0), Z, W_1, b_1, 1, 1)
    return G, G_W_1, G_b_1, G_W_2, G_b_2


# %% residual_block_backward: sent the shortcut's part around the last ReLU
def residual_block_backward(G, Z, W_1, b_1, W_2, b_2):
    A = conv2d_forward(Z, W_1, b_1, 1, 1)
    H = torch.relu(A)
    on = conv2d_forward(H, W_2, b_2, 1, 1) + Z > 0
    G_H, G_W_2, G_b_2 = conv2d_backward(G * on, H, W_2, b_2, 1, 1)
    G_F, G_W_1, G_b_1 = conv2d_backward(G_H * (A > 0), Z, W_1, b_1, 1, 1)
    return G_F + G, G_W_1, G_b_1, G_W_2, G_b_2


# %% residual_block_backward: left out the last ReLU
def residual_block_backward(G, Z, W_1, b_1, W_2, b_2):
    A = conv2d_forward(Z, W_1, b_1, 1, 1)
    H = torch.relu(A)
    G_H, G_W_2, G_b_2 = conv2d_backward(G, H, W_2, b_2, 1, 1)
    G_F, G_W_1, G_b_1 = conv2d_backward(G_H * (A > 0), Z, W_1, b_1, 1, 1)
    return G_F + G, G_W_1, G_b_1, G_W_2, G_b_2


# %% residual_block_backward: let the gradient through the inner ReLU where it is off
def residual_block_backward(G, Z, W_1, b_1, W_2, b_2):
    H = torch.relu(conv2d_forward(Z, W_1, b_1, 1, 1))
    G = G * (conv2d_forward(H, W_2, b_2, 1, 1) + Z > 0)
    G_H, G_W_2, G_b_2 = conv2d_backward(G, H, W_2, b_2, 1, 1)
    G_F, G_W_1, G_b_1 = conv2d_backward(G_H, Z, W_1, b_1, 1, 1)
    return G_F + G, G_W_1, G_b_1, G_W_2, G_b_2


# %% residual_block_backward: took the last ReLU's slope before the shortcut was added
def residual_block_backward(G, Z, W_1, b_1, W_2, b_2):
    A = conv2d_forward(Z, W_1, b_1, 1, 1)
    H = torch.relu(A)
    G = G * (conv2d_forward(H, W_2, b_2, 1, 1) > 0)
    G_H, G_W_2, G_b_2 = conv2d_backward(G, H, W_2, b_2, 1, 1)
    G_F, G_W_1, G_b_1 = conv2d_backward(G_H * (A > 0), Z, W_1, b_1, 1, 1)
    return G_F + G, G_W_1, G_b_1, G_W_2, G_b_2


# %% residual_block_backward: kept the pre-activation where G_W_2 needs what ReLU made of it
def residual_block_backward(G, Z, W_1, b_1, W_2, b_2):
    A = conv2d_forward(Z, W_1, b_1, 1, 1)
    G = G * (conv2d_forward(torch.relu(A), W_2, b_2, 1, 1) + Z > 0)
    G_H, G_W_2, G_b_2 = conv2d_backward(G, A, W_2, b_2, 1, 1)
    G_F, G_W_1, G_b_1 = conv2d_backward(G_H * (A > 0), Z, W_1, b_1, 1, 1)
    return G_F + G, G_W_1, G_b_1, G_W_2, G_b_2


# %% input_gradient: returned the step down the loss, -G_X
def input_gradient(X, y, W, b, V, c):
    A = conv2d_forward(X, W, b, 1, 1)
    loss, G = softmax_cross_entropy(A.clamp(min=0).mean((2, 3)) @ V.T + c, y)
    G_A = (G @ V)[:, :, None, None] / A[0, 0].numel() * (A > 0)
    return loss, -conv2d_backward(G_A, X, W, b, 1, 1)[0]


# %% input_gradient: summed the loss over the batch instead of averaging it
def input_gradient(X, y, W, b, V, c):
    A = conv2d_forward(X, W, b, 1, 1)
    P = (A.clamp(min=0).mean((2, 3)) @ V.T + c).softmax(1)
    loss = -P[range(len(y)), y].log().sum()
    G = P - F.one_hot(y, len(V))
    G_A = (G @ V)[:, :, None, None] / A[0, 0].numel() * (A > 0)
    return loss, conv2d_backward(G_A, X, W, b, 1, 1)[0]


# %% input_gradient: divided by N twice
def input_gradient(X, y, W, b, V, c):
    A = conv2d_forward(X, W, b, 1, 1)
    loss, G = softmax_cross_entropy(A.clamp(min=0).mean((2, 3)) @ V.T + c, y)
    G_A = (G @ V)[:, :, None, None] / A[:, 0].numel() * (A > 0)
    return loss, conv2d_backward(G_A, X, W, b, 1, 1)[0]


# %% input_gradient: left out the 1 / (H·W) of the mean over places
def input_gradient(X, y, W, b, V, c):
    A = conv2d_forward(X, W, b, 1, 1)
    loss, G = softmax_cross_entropy(A.clamp(min=0).mean((2, 3)) @ V.T + c, y)
    return loss, conv2d_backward((G @ V)[:, :, None, None] * (A > 0), X, W, b, 1, 1)[0]


# %% input_gradient: let the gradient through ReLU where it is off
def input_gradient(X, y, W, b, V, c):
    A = conv2d_forward(X, W, b, 1, 1)
    loss, G = softmax_cross_entropy(A.clamp(min=0).mean((2, 3)) @ V.T + c, y)
    G_A = (G @ V)[:, :, None, None].expand(A.shape) / A[0, 0].numel()
    return loss, conv2d_backward(G_A, X, W, b, 1, 1)[0]


# %% input_gradient: returned the gradient of the convolution's output, not of the image
def input_gradient(X, y, W, b, V, c):
    A = conv2d_forward(X, W, b, 1, 1)
    loss, G = softmax_cross_entropy(A.clamp(min=0).mean((2, 3)) @ V.T + c, y)
    return loss, (G @ V)[:, :, None, None] / A[0, 0].numel() * (A > 0)


# %% input_gradient: did not subtract the one-hot y from the probabilities
def input_gradient(X, y, W, b, V, c):
    A = conv2d_forward(X, W, b, 1, 1)
    P = (A.clamp(min=0).mean((2, 3)) @ V.T + c).softmax(1)
    loss = -P[range(len(y)), y].log().mean()
    G_A = (P / len(y) @ V)[:, :, None, None] / A[0, 0].numel() * (A > 0)
    return loss, conv2d_backward(G_A, X, W, b, 1, 1)[0]


# %% lenet_backward: let the gradient through ReLU where it is off
def lenet_backward(X, y, P):
    A = conv2d_forward(X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    H = torch.relu(A)
    Z = F.max_pool2d(H, 2)
    B = conv2d_forward(Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    K = torch.relu(B)
    Z_1 = F.max_pool2d(K, 2).flatten(1)
    Z_2 = torch.relu(Z_1 @ P["fc1.weight"].T + P["fc1.bias"])
    Z_3 = torch.relu(Z_2 @ P["fc2.weight"].T + P["fc2.bias"])
    loss, G = softmax_cross_entropy(Z_3 @ P["fc3.weight"].T + P["fc3.bias"], y)
    grads = {"fc3.weight": G.T @ Z_3, "fc3.bias": G.sum(0)}
    G = G @ P["fc3.weight"]
    grads |= {"fc2.weight": G.T @ Z_2, "fc2.bias": G.sum(0)}
    G = G @ P["fc2.weight"]
    grads |= {"fc1.weight": G.T @ Z_1, "fc1.bias": G.sum(0)}
    G = (G @ P["fc1.weight"]).reshape(len(X), -1, 5, 5)
    G = max_pool_backward(G, K, 2, 2, 0)
    G, grads["conv2.weight"], grads["conv2.bias"] = conv2d_backward(G, Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    G = max_pool_backward(G, H, 2, 2, 0)
    _, grads["conv1.weight"], grads["conv1.bias"] = conv2d_backward(G, X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    return loss, grads


# %% lenet_backward: put a ReLU after fc3, too
def lenet_backward(X, y, P):
    A = conv2d_forward(X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    H = torch.relu(A)
    Z = F.max_pool2d(H, 2)
    B = conv2d_forward(Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    K = torch.relu(B)
    Z_1 = F.max_pool2d(K, 2).flatten(1)
    Z_2 = torch.relu(Z_1 @ P["fc1.weight"].T + P["fc1.bias"])
    Z_3 = torch.relu(Z_2 @ P["fc2.weight"].T + P["fc2.bias"])
    logits = torch.relu(Z_3 @ P["fc3.weight"].T + P["fc3.bias"])
    loss, G = softmax_cross_entropy(logits, y)
    G = G * (logits > 0)
    grads = {"fc3.weight": G.T @ Z_3, "fc3.bias": G.sum(0)}
    G = G @ P["fc3.weight"] * (Z_3 > 0)
    grads |= {"fc2.weight": G.T @ Z_2, "fc2.bias": G.sum(0)}
    G = G @ P["fc2.weight"] * (Z_2 > 0)
    grads |= {"fc1.weight": G.T @ Z_1, "fc1.bias": G.sum(0)}
    G = (G @ P["fc1.weight"]).reshape(len(X), -1, 5, 5)
    G = max_pool_backward(G, K, 2, 2, 0) * (B > 0)
    G, grads["conv2.weight"], grads["conv2.bias"] = conv2d_backward(G, Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    G = max_pool_backward(G, H, 2, 2, 0) * (A > 0)
    _, grads["conv1.weight"], grads["conv1.bias"] = conv2d_backward(G, X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    return loss, grads


# %% lenet_backward: pooled by the average, as LeNet-5 did in 1998
def lenet_backward(X, y, P):
    A = conv2d_forward(X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    H = torch.relu(A)
    Z = F.avg_pool2d(H, 2)
    B = conv2d_forward(Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    K = torch.relu(B)
    Z_1 = F.avg_pool2d(K, 2).flatten(1)
    Z_2 = torch.relu(Z_1 @ P["fc1.weight"].T + P["fc1.bias"])
    Z_3 = torch.relu(Z_2 @ P["fc2.weight"].T + P["fc2.bias"])
    loss, G = softmax_cross_entropy(Z_3 @ P["fc3.weight"].T + P["fc3.bias"], y)
    grads = {"fc3.weight": G.T @ Z_3, "fc3.bias": G.sum(0)}
    G = G @ P["fc3.weight"] * (Z_3 > 0)
    grads |= {"fc2.weight": G.T @ Z_2, "fc2.bias": G.sum(0)}
    G = G @ P["fc2.weight"] * (Z_2 > 0)
    grads |= {"fc1.weight": G.T @ Z_1, "fc1.bias": G.sum(0)}
    G = (G @ P["fc1.weight"]).reshape(len(X), -1, 5, 5)
    G = average_pool_backward(G, K, 2, 2) * (B > 0)
    G, grads["conv2.weight"], grads["conv2.bias"] = conv2d_backward(G, Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    G = average_pool_backward(G, H, 2, 2) * (A > 0)
    _, grads["conv1.weight"], grads["conv1.bias"] = conv2d_backward(G, X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    return loss, grads


# %% lenet_backward: took tanh for ReLU
def lenet_backward(X, y, P):
    A = conv2d_forward(X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    H = torch.tanh(A)
    Z = F.max_pool2d(H, 2)
    B = conv2d_forward(Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    K = torch.tanh(B)
    Z_1 = F.max_pool2d(K, 2).flatten(1)
    Z_2 = torch.tanh(Z_1 @ P["fc1.weight"].T + P["fc1.bias"])
    Z_3 = torch.tanh(Z_2 @ P["fc2.weight"].T + P["fc2.bias"])
    loss, G = softmax_cross_entropy(Z_3 @ P["fc3.weight"].T + P["fc3.bias"], y)
    grads = {"fc3.weight": G.T @ Z_3, "fc3.bias": G.sum(0)}
    G = G @ P["fc3.weight"] * (1 - Z_3**2)
    grads |= {"fc2.weight": G.T @ Z_2, "fc2.bias": G.sum(0)}
    G = G @ P["fc2.weight"] * (1 - Z_2**2)
    grads |= {"fc1.weight": G.T @ Z_1, "fc1.bias": G.sum(0)}
    G = (G @ P["fc1.weight"]).reshape(len(X), -1, 5, 5)
    G = max_pool_backward(G, K, 2, 2, 0) * (1 - K**2)
    G, grads["conv2.weight"], grads["conv2.bias"] = conv2d_backward(G, Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    G = max_pool_backward(G, H, 2, 2, 0) * (1 - H**2)
    _, grads["conv1.weight"], grads["conv1.bias"] = conv2d_backward(G, X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    return loss, grads


# %% lenet_backward: flattened with the channels last
def lenet_backward(X, y, P):
    A = conv2d_forward(X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    H = torch.relu(A)
    Z = F.max_pool2d(H, 2)
    B = conv2d_forward(Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    K = torch.relu(B)
    Z_1 = F.max_pool2d(K, 2).permute(0, 2, 3, 1).flatten(1)
    Z_2 = torch.relu(Z_1 @ P["fc1.weight"].T + P["fc1.bias"])
    Z_3 = torch.relu(Z_2 @ P["fc2.weight"].T + P["fc2.bias"])
    loss, G = softmax_cross_entropy(Z_3 @ P["fc3.weight"].T + P["fc3.bias"], y)
    grads = {"fc3.weight": G.T @ Z_3, "fc3.bias": G.sum(0)}
    G = G @ P["fc3.weight"] * (Z_3 > 0)
    grads |= {"fc2.weight": G.T @ Z_2, "fc2.bias": G.sum(0)}
    G = G @ P["fc2.weight"] * (Z_2 > 0)
    grads |= {"fc1.weight": G.T @ Z_1, "fc1.bias": G.sum(0)}
    G = (G @ P["fc1.weight"]).reshape(len(X), 5, 5, -1).permute(0, 3, 1, 2)
    G = max_pool_backward(G, K, 2, 2, 0) * (B > 0)
    G, grads["conv2.weight"], grads["conv2.bias"] = conv2d_backward(G, Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    G = max_pool_backward(G, H, 2, 2, 0) * (A > 0)
    _, grads["conv1.weight"], grads["conv1.bias"] = conv2d_backward(G, X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    return loss, grads


# %% lenet_backward: summed the loss over the batch instead of averaging it
def lenet_backward(X, y, P):
    A = conv2d_forward(X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    H = torch.relu(A)
    Z = F.max_pool2d(H, 2)
    B = conv2d_forward(Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    K = torch.relu(B)
    Z_1 = F.max_pool2d(K, 2).flatten(1)
    Z_2 = torch.relu(Z_1 @ P["fc1.weight"].T + P["fc1.bias"])
    Z_3 = torch.relu(Z_2 @ P["fc2.weight"].T + P["fc2.bias"])
    p = (Z_3 @ P["fc3.weight"].T + P["fc3.bias"]).softmax(1)
    loss, G = -p[range(len(y)), y].log().sum(), p - F.one_hot(y, 10)
    grads = {"fc3.weight": G.T @ Z_3, "fc3.bias": G.sum(0)}
    G = G @ P["fc3.weight"] * (Z_3 > 0)
    grads |= {"fc2.weight": G.T @ Z_2, "fc2.bias": G.sum(0)}
    G = G @ P["fc2.weight"] * (Z_2 > 0)
    grads |= {"fc1.weight": G.T @ Z_1, "fc1.bias": G.sum(0)}
    G = (G @ P["fc1.weight"]).reshape(len(X), -1, 5, 5)
    G = max_pool_backward(G, K, 2, 2, 0) * (B > 0)
    G, grads["conv2.weight"], grads["conv2.bias"] = conv2d_backward(G, Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    G = max_pool_backward(G, H, 2, 2, 0) * (A > 0)
    _, grads["conv1.weight"], grads["conv1.bias"] = conv2d_backward(G, X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    return loss, grads


# %% lenet_backward: divided by N twice
def lenet_backward(X, y, P):
    A = conv2d_forward(X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    H = torch.relu(A)
    Z = F.max_pool2d(H, 2)
    B = conv2d_forward(Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    K = torch.relu(B)
    Z_1 = F.max_pool2d(K, 2).flatten(1)
    Z_2 = torch.relu(Z_1 @ P["fc1.weight"].T + P["fc1.bias"])
    Z_3 = torch.relu(Z_2 @ P["fc2.weight"].T + P["fc2.bias"])
    loss, G = softmax_cross_entropy(Z_3 @ P["fc3.weight"].T + P["fc3.bias"], y)
    G = G / len(X)
    grads = {"fc3.weight": G.T @ Z_3, "fc3.bias": G.sum(0)}
    G = G @ P["fc3.weight"] * (Z_3 > 0)
    grads |= {"fc2.weight": G.T @ Z_2, "fc2.bias": G.sum(0)}
    G = G @ P["fc2.weight"] * (Z_2 > 0)
    grads |= {"fc1.weight": G.T @ Z_1, "fc1.bias": G.sum(0)}
    G = (G @ P["fc1.weight"]).reshape(len(X), -1, 5, 5)
    G = max_pool_backward(G, K, 2, 2, 0) * (B > 0)
    G, grads["conv2.weight"], grads["conv2.bias"] = conv2d_backward(G, Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    G = max_pool_backward(G, H, 2, 2, 0) * (A > 0)
    _, grads["conv1.weight"], grads["conv1.bias"] = conv2d_backward(G, X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    return loss, grads


# %% lenet_backward: returned the weight gradients of the linear layers transposed
def lenet_backward(X, y, P):
    A = conv2d_forward(X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    H = torch.relu(A)
    Z = F.max_pool2d(H, 2)
    B = conv2d_forward(Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    K = torch.relu(B)
    Z_1 = F.max_pool2d(K, 2).flatten(1)
    Z_2 = torch.relu(Z_1 @ P["fc1.weight"].T + P["fc1.bias"])
    Z_3 = torch.relu(Z_2 @ P["fc2.weight"].T + P["fc2.bias"])
    loss, G = softmax_cross_entropy(Z_3 @ P["fc3.weight"].T + P["fc3.bias"], y)
    grads = {"fc3.weight": Z_3.T @ G, "fc3.bias": G.sum(0)}
    G = G @ P["fc3.weight"] * (Z_3 > 0)
    grads |= {"fc2.weight": Z_2.T @ G, "fc2.bias": G.sum(0)}
    G = G @ P["fc2.weight"] * (Z_2 > 0)
    grads |= {"fc1.weight": Z_1.T @ G, "fc1.bias": G.sum(0)}
    G = (G @ P["fc1.weight"]).reshape(len(X), -1, 5, 5)
    G = max_pool_backward(G, K, 2, 2, 0) * (B > 0)
    G, grads["conv2.weight"], grads["conv2.bias"] = conv2d_backward(G, Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    G = max_pool_backward(G, H, 2, 2, 0) * (A > 0)
    _, grads["conv1.weight"], grads["conv1.bias"] = conv2d_backward(G, X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    return loss, grads


# %% lenet_backward: kept the pre-activation where the next layer's gradient needs what ReLU made of it
def lenet_backward(X, y, P):
    A = conv2d_forward(X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    H = torch.relu(A)
    Z = F.max_pool2d(H, 2)
    B = conv2d_forward(Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    K = torch.relu(B)
    Z_1 = F.max_pool2d(K, 2).flatten(1)
    Z_2 = torch.relu(Z_1 @ P["fc1.weight"].T + P["fc1.bias"])
    Z_3 = torch.relu(Z_2 @ P["fc2.weight"].T + P["fc2.bias"])
    loss, G = softmax_cross_entropy(Z_3 @ P["fc3.weight"].T + P["fc3.bias"], y)
    grads = {"fc3.weight": G.T @ Z_3, "fc3.bias": G.sum(0)}
    G = G @ P["fc3.weight"] * (Z_3 > 0)
    grads |= {"fc2.weight": G.T @ Z_2, "fc2.bias": G.sum(0)}
    G = G @ P["fc2.weight"] * (Z_2 > 0)
    grads |= {"fc1.weight": G.T @ F.max_pool2d(B, 2).flatten(1), "fc1.bias": G.sum(0)}
    G = (G @ P["fc1.weight"]).reshape(len(X), -1, 5, 5)
    G = max_pool_backward(G, K, 2, 2, 0) * (B > 0)
    G, grads["conv2.weight"], grads["conv2.bias"] = conv2d_backward(
        G, F.max_pool2d(A, 2), P["conv2.weight"], P["conv2.bias"], 1, 0
    )
    G = max_pool_backward(G, H, 2, 2, 0) * (A > 0)
    _, grads["conv1.weight"], grads["conv1.bias"] = conv2d_backward(G, X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    return loss, grads


# %% circulant_transpose: did not flip the filter
def circulant_transpose(w, n):
    k = len(w)
    c = (k - 1) // 2
    C_T, S_T = torch.zeros(n, n), torch.zeros(n, n - k + 1)
    for i in range(n):
        for j in range(k):
            C_T[i, (i + j - c) % n] = w[j]
    S_T[c : c + n - k + 1] = torch.eye(n - k + 1)
    return C_T, S_T


# %% circulant_transpose: took c for the centre of the flipped filter: it is k - 1 - c
def circulant_transpose(w, n):
    k = len(w)
    c = (k - 1) // 2
    S_T = torch.zeros(n, n - k + 1)
    S_T[c : c + n - k + 1] = torch.eye(n - k + 1)
    return circulant(w.flip(0), n), S_T


# %% circulant_transpose: put all zeros at the end of the padding
def circulant_transpose(w, n):
    k = len(w)
    c = (k - 1) // 2
    C_T, S_T = torch.zeros(n, n), torch.zeros(n, n - k + 1)
    for i in range(n):
        for j in range(k):
            C_T[i, (i + c - j) % n] = w[j]
    S_T[: n - k + 1] = torch.eye(n - k + 1)
    return C_T, S_T


# %% circulant_transpose: returned S, not its transpose
def circulant_transpose(w, n):
    k = len(w)
    C_T = torch.zeros(n, n)
    for i in range(n):
        for j in range(k):
            C_T[i, (i + (k - 1) // 2 - j) % n] = w[j]
    return C_T, select_valid(n, k)


# %% batch_norm_forward: remembered the biased variance
def batch_norm_forward(Z, gamma, beta, mean, var, momentum, eps, training):
    mu, v = mean, var
    if training:
        mu, v = Z.mean((0, 2, 3)), Z.var((0, 2, 3), correction=0)
        mean, var = (1 - momentum) * mean + momentum * mu, (1 - momentum) * var + momentum * v
    Z_hat = (Z - mu[:, None, None]) / (v[:, None, None] + eps).sqrt()
    return gamma[:, None, None] * Z_hat + beta[:, None, None], mean, var


# %% batch_norm_forward: normalised with the unbiased variance
def batch_norm_forward(Z, gamma, beta, mean, var, momentum, eps, training):
    mu, v = mean, var
    if training:
        mu, v = Z.mean((0, 2, 3)), Z.var((0, 2, 3))
        mean, var = (1 - momentum) * mean + momentum * mu, (1 - momentum) * var + momentum * v
    Z_hat = (Z - mu[:, None, None]) / (v[:, None, None] + eps).sqrt()
    return gamma[:, None, None] * Z_hat + beta[:, None, None], mean, var


# %% batch_norm_forward: normalised with the running statistics in training
def batch_norm_forward(Z, gamma, beta, mean, var, momentum, eps, training):
    Z_hat = (Z - mean[:, None, None]) / (var[:, None, None] + eps).sqrt()
    if training:
        mean = (1 - momentum) * mean + momentum * Z.mean((0, 2, 3))
        var = (1 - momentum) * var + momentum * Z.var((0, 2, 3))
    return gamma[:, None, None] * Z_hat + beta[:, None, None], mean, var


# %% batch_norm_forward: behaved in evaluation as in training
def batch_norm_forward(Z, gamma, beta, mean, var, momentum, eps, training):
    mu, v = Z.mean((0, 2, 3)), Z.var((0, 2, 3), correction=0)
    mean, var = (1 - momentum) * mean + momentum * mu, (1 - momentum) * var + momentum * Z.var((0, 2, 3))
    Z_hat = (Z - mu[:, None, None]) / (v[:, None, None] + eps).sqrt()
    return gamma[:, None, None] * Z_hat + beta[:, None, None], mean, var


# %% batch_norm_forward: took momentum for the share that is kept
def batch_norm_forward(Z, gamma, beta, mean, var, momentum, eps, training):
    mu, v = mean, var
    if training:
        mu, v = Z.mean((0, 2, 3)), Z.var((0, 2, 3), correction=0)
        mean = momentum * mean + (1 - momentum) * mu
        var = momentum * var + (1 - momentum) * Z.var((0, 2, 3))
    Z_hat = (Z - mu[:, None, None]) / (v[:, None, None] + eps).sqrt()
    return gamma[:, None, None] * Z_hat + beta[:, None, None], mean, var


# %% batch_norm_forward: did not update the running statistics
def batch_norm_forward(Z, gamma, beta, mean, var, momentum, eps, training):
    mu, v = (Z.mean((0, 2, 3)), Z.var((0, 2, 3), correction=0)) if training else (mean, var)
    Z_hat = (Z - mu[:, None, None]) / (v[:, None, None] + eps).sqrt()
    return gamma[:, None, None] * Z_hat + beta[:, None, None], mean, var


# %% average_pool_backward: did not divide by the size of the window
def average_pool_backward(G, Z, size, stride):
    G_Z = torch.zeros_like(Z)
    for i in range(G.shape[2]):
        for j in range(G.shape[3]):
            G_Z[:, :, i * stride : i * stride + size, j * stride : j * stride + size] += G[:, :, i, j, None, None]
    return G_Z


# %% average_pool_backward: divided by the window's side, not by its area
def average_pool_backward(G, Z, size, stride):
    G_Z = torch.zeros_like(Z)
    for i in range(G.shape[2]):
        for j in range(G.shape[3]):
            here = (..., slice(i * stride, i * stride + size), slice(j * stride, j * stride + size))
            G_Z[here] += G[:, :, i, j, None, None] / size
    return G_Z


# %% average_pool_backward: gave the gradient to the maximum
def average_pool_backward(G, Z, size, stride):
    return max_pool_backward(G, Z, size, stride, 0)


# %% average_pool_backward: assigned where windows overlap, instead of adding
def average_pool_backward(G, Z, size, stride):
    G_Z = torch.zeros_like(Z)
    for i in range(G.shape[2]):
        for j in range(G.shape[3]):
            here = (..., slice(i * stride, i * stride + size), slice(j * stride, j * stride + size))
            G_Z[here] = G[:, :, i, j, None, None] / size**2
    return G_Z


# %% average_pool_backward: ignored the stride
def average_pool_backward(G, Z, size, stride):
    G_Z = torch.zeros_like(Z)
    for i in range(G.shape[2]):
        for j in range(G.shape[3]):
            G_Z[:, :, i : i + size, j : j + size] += G[:, :, i, j, None, None] / size**2
    return G_Z


# %% concat_backward: kept the last branch's part of G_Z only
def concat_backward(G, Z, Ws):
    G_Ws, start = [], 0
    for W in Ws:
        part = G[:, start : start + len(W)]
        G_Z = torch.einsum("nkhw,kc->nchw", part, W)
        G_Ws.append(torch.einsum("nkhw,nchw->kc", part, Z))
        start += len(W)
    return G_Z, G_Ws


# %% concat_backward: averaged the branches' parts of G_Z
def concat_backward(G, Z, Ws):
    parts = G.split([len(W) for W in Ws], dim=1)
    G_Zs = [torch.einsum("nkhw,kc->nchw", part, W) for part, W in zip(parts, Ws)]
    return torch.stack(G_Zs).mean(0), [torch.einsum("nkhw,nchw->kc", part, Z) for part in parts]


# %% concat_backward: cut G as if the branches stood in the reverse order
def concat_backward(G, Z, Ws):
    G_Z, G_Ws, start = torch.zeros_like(Z), [], 0
    for W in reversed(Ws):
        part = G[:, start : start + len(W)]
        G_Z += torch.einsum("nkhw,kc->nchw", part, W)
        G_Ws.insert(0, torch.einsum("nkhw,nchw->kc", part, Z))
        start += len(W)
    return G_Z, G_Ws


# %% concat_backward: averaged over the batch, which belongs to the loss
def concat_backward(G, Z, Ws):
    parts = G.split([len(W) for W in Ws], dim=1)
    G_Z = sum(torch.einsum("nkhw,kc->nchw", part, W) for part, W in zip(parts, Ws))
    return G_Z, [torch.einsum("nkhw,nchw->kc", part, Z) / len(Z) for part in parts]


# %% concat_backward: returned the weight gradients transposed
def concat_backward(G, Z, Ws):
    parts = G.split([len(W) for W in Ws], dim=1)
    G_Z = sum(torch.einsum("nkhw,kc->nchw", part, W) for part, W in zip(parts, Ws))
    return G_Z, [torch.einsum("nkhw,nchw->ck", part, Z) for part in parts]
