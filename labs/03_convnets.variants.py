"""Right answers of the lab `convnets` in the many ways that people write them: each must earn all points.

A cell's title is `question: how it is written`; it runs after all solutions of the lab, in their namespace.
"""
# ruff: noqa: F811, F821


# %% circulant: rows rolled
def circulant(w, n):
    row = F.pad(w, (0, n - len(w))).roll(-((len(w) - 1) // 2))
    return torch.stack([row.roll(i) for i in range(n)])


# %% circulant: index arithmetic
def circulant(w, n):
    k, i = len(w), torch.arange(n)
    C = torch.zeros(n, n)
    for j in range(k):
        C[i, (i + j - (k - 1) // 2) % n] = w[j]
    return C


# %% circulant: shifted identity matrices
def circulant(w, n):
    c = (len(w) - 1) // 2
    return sum(w[j] * torch.roll(torch.eye(n), j - c, dims=1) for j in range(len(w)))


# %% circulant: numpy
def circulant(w, n):
    k = len(w)
    C = np.zeros((n, n))
    for i, j in np.ndindex(n, k):
        C[i, (i + j - (k - 1) // 2) % n] = w[j]
    return C


# %% circulant: nested lists of floats
def circulant(w, n):
    w, c = w.tolist(), (len(w) - 1) // 2
    entry = lambda d: w[d] if d < len(w) else 0.0
    return [[entry((j - i + c) % n) for j in range(n)] for i in range(n)]


# %% circulant: as_strided, on a doubled row
def circulant(w, n):
    row = F.pad(w, (0, n - len(w))).roll(-((len(w) - 1) // 2))
    return torch.cat([row, row]).as_strided((n, n), (1, 1)).flip(0).roll(1, 0)


# %% select_valid: entry by entry
def select_valid(n, k):
    S = torch.zeros(n - k + 1, n)
    for i in range(n - k + 1):
        S[i, i + (k - 1) // 2] = 1.0
    return S


# %% select_valid: integers
def select_valid(n, k):
    c = (k - 1) // 2
    return F.one_hot(torch.arange(c, c + n - k + 1), n)


# %% select_valid: numpy
def select_valid(n, k):
    return np.eye(n - k + 1, n, (k - 1) // 2)


# %% select_valid: a comparison, as numbers
def select_valid(n, k):
    i, j = torch.arange(n - k + 1)[:, None], torch.arange(n)
    return (j == i + (k - 1) // 2).float()


# %% select_valid: padded with columns of zeros
def select_valid(n, k):
    c = (k - 1) // 2
    return F.pad(torch.eye(n - k + 1), (c, k - 1 - c))


# %% select_valid: nested lists
def select_valid(n, k):
    c = (k - 1) // 2
    return [[1 if j == i + c else 0 for j in range(n)] for i in range(n - k + 1)]


# %% conv1d_backward: loop over the filter
def conv1d_backward(G, z, w):
    G_z, G_w = torch.zeros_like(z), torch.zeros_like(w)
    for j in range(len(w)):
        G_z[j : j + len(G)] += w[j] * G
        G_w[j] = G @ z[j : j + len(G)]
    return G_z, G_w


# %% conv1d_backward: loop over the output
def conv1d_backward(G, z, w):
    k = len(w)
    G_z, G_w = torch.zeros_like(z), torch.zeros_like(w)
    for i, g in enumerate(G.tolist()):
        G_z[i : i + k] += g * w
        G_w += g * z[i : i + k]
    return G_z, G_w


# %% conv1d_backward: numpy's convolve and correlate
def conv1d_backward(G, z, w):
    G, z, w = (a.numpy() for a in (G, z, w))
    return np.convolve(G, w), np.correlate(z, G, mode="valid")


# %% conv1d_backward: unfold
def conv1d_backward(G, z, w):
    k = len(w)
    return F.pad(G, (k - 1, k - 1)).unfold(0, k, 1) @ w.flip(0), z.unfold(0, k, 1).T @ G


# %% conv1d_backward: float32, a dict
def conv1d_backward(G, z, w):
    G, z, w = G.float(), z.float(), w.float()
    G_z = F.conv1d(G[None, None], w.flip(0)[None, None], padding=len(w) - 1)[0, 0]
    return {"G_w": F.conv1d(z[None, None], G[None, None]).flatten(), "G_z": G_z}


# %% conv1d_backward: as_strided and einsum
def conv1d_backward(G, z, w):
    m, k = len(G), len(w)
    wide = torch.cat([torch.zeros(k - 1), G, torch.zeros(k - 1)])
    G_z = torch.einsum("ij,j->i", wide.as_strided((m + k - 1, k), (1, 1)), torch.flip(w, [0]))
    return G_z, torch.einsum("ij,i->j", z.as_strided((m, k), (1, 1)), G)


# %% conv2d_forward: loop over the filter's places
def conv2d_forward(Z, W, b, stride, padding):
    k_H, k_W = W.shape[2:]
    Z = F.pad(Z, (padding, padding, padding, padding))
    P, Q = (Z.shape[2] - k_H) // stride + 1, (Z.shape[3] - k_W) // stride + 1
    A = b[None, :, None, None].repeat(len(Z), 1, P, Q)
    for u in range(k_H):
        for v in range(k_W):
            met = Z[:, :, u : u + stride * P : stride, v : v + stride * Q : stride]
            A += torch.einsum("ncij,kc->nkij", met, W[:, :, u, v])
    return A


# %% conv2d_forward: loops over n, k, i, j
def conv2d_forward(Z, W, b, stride, padding):
    (N, C, H, width), (K, _, k_H, k_W) = Z.shape, W.shape
    Z_pad = torch.zeros(N, C, H + 2 * padding, width + 2 * padding)
    Z_pad[:, :, padding : padding + H, padding : padding + width] = Z
    P, Q = (H + 2 * padding - k_H) // stride + 1, (width + 2 * padding - k_W) // stride + 1
    A = torch.zeros(N, K, P, Q)
    for n in range(N):
        for k in range(K):
            for i in range(P):
                for j in range(Q):
                    window = Z_pad[n, :, i * stride : i * stride + k_H, j * stride : j * stride + k_W]
                    A[n, k, i, j] = (window * W[k]).sum() + b[k]
    return A


# %% conv2d_forward: F.unfold and one matrix product
def conv2d_forward(Z, W, b, stride, padding):
    k_H, k_W = W.shape[2:]
    columns = F.unfold(Z, (k_H, k_W), padding=padding, stride=stride)
    P = (Z.shape[2] + 2 * padding - k_H) // stride + 1
    return (W.flatten(1) @ columns + b[:, None]).unflatten(2, (P, -1))


# %% conv2d_forward: as_strided and tensordot
def conv2d_forward(Z, W, b, stride, padding):
    (N, C), (k_H, k_W), Z = Z.shape[:2], W.shape[2:], F.pad(Z, 4 * [padding]).contiguous()
    P, Q = (Z.shape[2] - k_H) // stride + 1, (Z.shape[3] - k_W) // stride + 1
    n, c, h, w = Z.stride()
    windows = Z.as_strided((N, C, P, Q, k_H, k_W), (n, c, stride * h, stride * w, h, w))
    return torch.tensordot(windows, W, dims=([1, 4, 5], [1, 2, 3])).permute(0, 3, 1, 2) + b.reshape(1, -1, 1, 1)


# %% conv2d_forward: numpy's sliding windows
def conv2d_forward(Z, W, b, stride, padding):
    from numpy.lib.stride_tricks import sliding_window_view

    Z = np.pad(Z.numpy(), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = sliding_window_view(Z, tuple(W.shape[2:]), axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("ncijuv,kcuv->nkij", windows, W.numpy()) + b.numpy()[:, None, None]


# %% conv2d_forward: float32
def conv2d_forward(Z, W, b, stride, padding):
    Z, W, b = Z.float(), W.float(), b.float()
    windows = F.pad(Z, 4 * [padding]).unfold(2, W.shape[2], stride).unfold(3, W.shape[3], stride)
    return torch.einsum("ncijuv,kcuv->nkij", windows, W) + b[:, None, None]


# %% conv2d_backward: loops over the output's places
def conv2d_backward(G, Z, W, b, stride, padding):
    k_H, k_W = W.shape[2:]
    Z_pad = F.pad(Z, 4 * [padding])
    G_pad, G_W = torch.zeros_like(Z_pad), torch.zeros_like(W)
    for i in range(G.shape[2]):
        for j in range(G.shape[3]):
            rows, columns = slice(i * stride, i * stride + k_H), slice(j * stride, j * stride + k_W)
            G_pad[:, :, rows, columns] += torch.einsum("nk,kcuv->ncuv", G[:, :, i, j], W)
            G_W += torch.einsum("nk,ncuv->kcuv", G[:, :, i, j], Z_pad[:, :, rows, columns])
    G_Z = G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]
    return G_Z, G_W, torch.einsum("nkij->k", G)


# %% conv2d_backward: every window of every example and filter
def conv2d_backward(G, Z, W, b, stride, padding):
    Z_pad = F.pad(Z, 4 * [padding])
    G_pad, G_W, G_b = torch.zeros_like(Z_pad), torch.zeros_like(W), torch.zeros_like(b)
    for n, k, i, j in np.ndindex(*G.shape):
        rows, columns = slice(i * stride, i * stride + W.shape[2]), slice(j * stride, j * stride + W.shape[3])
        G_pad[n, :, rows, columns] += G[n, k, i, j] * W[k]
        G_W[k] += G[n, k, i, j] * Z_pad[n, :, rows, columns]
        G_b[k] += G[n, k, i, j]
    return G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]], G_W, G_b


# %% conv2d_backward: F.unfold and F.fold
def conv2d_backward(G, Z, W, b, stride, padding):
    how = dict(kernel_size=tuple(W.shape[2:]), padding=padding, stride=stride)
    columns, G = F.unfold(Z, **how), G.flatten(2)
    G_W = torch.einsum("nkl,nml->km", G, columns).reshape(W.shape)
    return F.fold(W.flatten(1).T @ G, tuple(Z.shape[2:]), **how), G_W, G.sum((0, 2))


# %% conv2d_backward: zeros between, padded, the filter flipped; F.conv2d with dilation for G_W
def conv2d_backward(G, Z, W, b, stride, padding):
    (N, K, P, Q), (k_H, k_W) = G.shape, W.shape[2:]
    Z_pad = F.pad(Z, 4 * [padding])
    spread = torch.zeros(N, K, Z_pad.shape[2] - k_H + 1, Z_pad.shape[3] - k_W + 1)
    spread[:, :, : stride * P : stride, : stride * Q : stride] = G
    G_Z = F.conv2d(F.pad(spread, (k_W - 1, k_W - 1, k_H - 1, k_H - 1)), W.flip(2, 3).transpose(0, 1))
    G_W = F.conv2d(Z_pad.transpose(0, 1), G.transpose(0, 1), dilation=stride).transpose(0, 1)[:, :, :k_H, :k_W]
    return G_Z[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]], G_W, G.sum((0, 2, 3))


# %% conv2d_backward: numpy, example by example
def conv2d_backward(G, Z, W, b, stride, padding):
    G, W = G.numpy(), W.numpy()
    Z_pad = np.pad(Z.numpy(), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    (P, Q), G_pad, G_W = G.shape[2:], np.zeros_like(Z_pad), np.zeros_like(W)
    for n in range(len(G)):
        for u, v in np.ndindex(*W.shape[2:]):
            met = (n, slice(None), slice(u, u + stride * P, stride), slice(v, v + stride * Q, stride))
            G_W[:, :, u, v] += np.einsum("kij,cij->kc", G[n], Z_pad[met])
            G_pad[met] += np.einsum("kij,kc->cij", G[n], W[:, :, u, v])
    H, width = Z.shape[2:]
    return G_pad[:, :, padding : padding + H, padding : padding + width], G_W, G.sum((0, 2, 3))


# %% conv2d_backward: float32, windows by unfold, a dict
def conv2d_backward(G, Z, W, b, stride, padding):
    G, Z, W = G.float(), Z.float(), W.float()
    windows = F.pad(Z, 4 * [padding]).unfold(2, W.shape[2], stride).unfold(3, W.shape[3], stride)
    G_pad = torch.zeros_like(F.pad(Z, 4 * [padding]))
    back = torch.einsum("nkij,kcuv->ncijuv", G, W)
    for u in range(W.shape[2]):
        for v in range(W.shape[3]):
            P, Q = G.shape[2:]
            G_pad[:, :, u : u + stride * P : stride, v : v + stride * Q : stride] += back[..., u, v]
    return dict(
        G_Z=F.pad(G_pad, 4 * [-padding]), G_W=torch.einsum("nkij,ncijuv->kcuv", G, windows), G_b=G.sum((0, 2, 3))
    )


# %% max_pool_backward: window by window
def max_pool_backward(G, Z, size, stride, padding):
    Z_pad = F.pad(Z, 4 * [padding], value=-math.inf)
    G_pad = torch.zeros_like(Z_pad)
    for n, c, i, j in np.ndindex(*G.shape):
        window = Z_pad[n, c, i * stride : i * stride + size, j * stride : j * stride + size]
        u, v = divmod(window.argmax().item(), size)
        G_pad[n, c, i * stride + u, j * stride + v] += G[n, c, i, j]
    return G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]


# %% max_pool_backward: indices of F.max_pool2d, scatter_add
def max_pool_backward(G, Z, size, stride, padding):
    _, at = F.max_pool2d(Z, size, stride, padding, return_indices=True)
    return torch.zeros_like(Z).flatten(2).scatter_add(2, at.flatten(2), G.flatten(2)).reshape(Z.shape)


# %% max_pool_backward: ties share in equal parts
def max_pool_backward(G, Z, size, stride, padding):
    Z_pad = F.pad(Z, 4 * [padding], value=-torch.inf)
    G_pad = torch.zeros_like(Z_pad)
    for i in range(G.shape[2]):
        for j in range(G.shape[3]):
            here = (..., slice(i * stride, i * stride + size), slice(j * stride, j * stride + size))
            mask = Z_pad[here] == Z_pad[here].amax((2, 3), keepdim=True)
            G_pad[here] += mask / mask.sum((2, 3), keepdim=True) * G[:, :, i, j, None, None]
    return G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]


# %% max_pool_backward: numpy, the last of equal maxima
def max_pool_backward(G, Z, size, stride, padding):
    Z_pad = np.pad(Z.numpy(), ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=-np.inf)
    G_pad = np.zeros(Z_pad.shape)
    for i, j in np.ndindex(*G.shape[2:]):
        window = Z_pad[:, :, i * stride : i * stride + size, j * stride : j * stride + size]
        last = size * size - 1 - window.reshape(*window.shape[:2], -1)[:, :, ::-1].argmax(2)
        n, c = np.indices(last.shape)
        G_pad[n, c, i * stride + last // size, j * stride + last % size] += G.numpy()[:, :, i, j]
    return G_pad[:, :, padding : padding + Z.shape[2], padding : padding + Z.shape[3]]


# %% max_pool_backward: F.unfold and F.fold of a one-hot mask
def max_pool_backward(G, Z, size, stride, padding):
    N, C, H, width = Z.shape
    Z_pad = F.pad(Z, 4 * [padding], value=-1e300).reshape(N * C, 1, H + 2 * padding, width + 2 * padding)
    at = F.unfold(Z_pad, size, stride=stride).argmax(1)
    back = F.one_hot(at, size * size).transpose(1, 2) * G.reshape(N * C, 1, -1)
    return (
        F.fold(back, (H, width), size, stride=stride, padding=padding).reshape(Z.shape)
        if padding == 0
        else F.pad(F.fold(back, Z_pad.shape[2:], size, stride=stride).reshape(N, C, *Z_pad.shape[2:]), 4 * [-padding])
    )


# %% max_pool_backward: float32
def max_pool_backward(G, Z, size, stride, padding):
    G, Z = G.float(), Z.float()
    at = F.max_pool2d(Z, size, stride, padding, return_indices=True)[1].flatten(2)
    G_Z = torch.zeros(Z.shape, dtype=torch.float32).flatten(2)
    for n in range(len(Z)):
        for c in range(Z.shape[1]):
            G_Z[n, c].index_add_(0, at[n, c], G[n, c].flatten())
    return G_Z.view(Z.shape)


# %% batch_norm_backward: the three paths one by one
def batch_norm_backward(G, Z, gamma, beta, eps):
    gamma, over = gamma[:, None, None], (0, 2, 3)
    m = Z[:, 0].numel()
    mu, v = Z.mean(over, keepdim=True), Z.var(over, correction=0, keepdim=True)
    root = torch.sqrt(v + eps)
    G_hat = gamma * G
    G_v = (G_hat * (Z - mu)).sum(over, keepdim=True) * -0.5 * (v + eps) ** -1.5
    G_mu = -(G_hat / root).sum(over, keepdim=True)
    return G_hat / root + G_v * 2 * (Z - mu) / m + G_mu / m, (G * (Z - mu) / root).sum(over), G.sum(over)


# %% batch_norm_backward: channels as rows of a matrix
def batch_norm_backward(G, Z, gamma, beta, eps):
    rows, G_rows = Z.movedim(1, 0).flatten(1), G.movedim(1, 0).flatten(1)
    centred = rows - rows.mean(1, keepdim=True)
    root = ((centred**2).mean(1, keepdim=True) + eps).sqrt()
    Z_hat = centred / root
    G_gamma, G_beta = (G_rows * Z_hat).sum(1), G_rows.sum(1)
    m = rows.shape[1]
    G_Z = (gamma[:, None] / root) * (G_rows - G_beta[:, None] / m - Z_hat * G_gamma[:, None] / m)
    return G_Z.reshape(Z.shape[1], len(Z), *Z.shape[2:]).movedim(0, 1), G_gamma, G_beta


# %% batch_norm_backward: channel by channel
def batch_norm_backward(G, Z, gamma, beta, eps):
    G_Z, G_gamma, G_beta = torch.zeros_like(Z), torch.zeros_like(gamma), torch.zeros_like(beta)
    for c in range(Z.shape[1]):
        z, g = Z[:, c], G[:, c]
        root = torch.sqrt(((z - z.mean()) ** 2).mean() + eps)
        z_hat = (z - z.mean()) / root
        G_gamma[c], G_beta[c] = (g * z_hat).sum(), g.sum()
        G_Z[:, c] = gamma[c] / root * (g - g.mean() - z_hat * (g * z_hat).mean())
    return G_Z, G_gamma, G_beta


# %% batch_norm_backward: numpy
def batch_norm_backward(G, Z, gamma, beta, eps):
    G, Z, over = G.numpy(), Z.numpy(), (0, 2, 3)
    root = np.sqrt(Z.var(over, keepdims=True) + eps)
    Z_hat = (Z - Z.mean(over, keepdims=True)) / root
    G_hat = G - G.mean(over, keepdims=True) - Z_hat * (G * Z_hat).mean(over, keepdims=True)
    return gamma.numpy()[:, None, None] * G_hat / root, (G * Z_hat).sum(over), G.sum(over)


# %% batch_norm_backward: float32
def batch_norm_backward(G, Z, gamma, beta, eps):
    G, Z, gamma = G.float(), Z.float(), gamma.float()
    over = dict(dim=(0, 2, 3), keepdim=True)
    root = (Z.var(correction=0, **over) + eps).sqrt()
    Z_hat = (Z - Z.mean(**over)) / root
    G_hat = G - G.mean(**over) - Z_hat * (G * Z_hat).mean(**over)
    return gamma[:, None, None] * G_hat / root, (G * Z_hat).sum((0, 2, 3)), G.sum((0, 2, 3))


# %% batch_norm_backward: einsum
def batch_norm_backward(G, Z, gamma, beta, eps):
    m = Z[:, 0].numel()
    D = Z - torch.einsum("nchw->c", Z)[:, None, None] / m
    root = torch.sqrt(torch.einsum("nchw,nchw->c", D, D) / m + eps)
    G_beta, G_gamma = torch.einsum("nchw->c", G), torch.einsum("nchw,nchw->c", G, D) / root
    inner = G - (G_beta / m)[:, None, None] - D * (G_gamma / root / m)[:, None, None]
    return [torch.einsum("nchw,c->nchw", inner, gamma / root), G_gamma, G_beta]


# %% residual_block_backward: F.conv2d forward, masks kept
def residual_block_backward(G, Z, W_1, b_1, W_2, b_2):
    A = F.conv2d(Z, W_1, b_1, padding=1)
    B = F.conv2d(F.relu(A), W_2, b_2, padding=1)
    D = torch.where(B + Z > 0, G, 0.0)
    G_H, G_W_2, G_b_2 = conv2d_backward(D, F.relu(A), W_2, b_2, 1, 1)
    E = torch.where(A > 0, G_H, 0.0)
    G_F, G_W_1, G_b_1 = conv2d_backward(E, Z, W_1, b_1, 1, 1)
    return D + G_F, G_W_1, G_b_1, G_W_2, G_b_2


# %% residual_block_backward: flipped filters by F.conv2d, no other question's function
def residual_block_backward(G, Z, W_1, b_1, W_2, b_2):
    def weights(G, Z):
        return F.conv2d(Z.transpose(0, 1), G.transpose(0, 1), padding=1).transpose(0, 1)

    A = F.conv2d(Z, W_1, b_1, padding=1)
    H = A.relu()
    G = G * (F.conv2d(H, W_2, b_2, padding=1) + Z).gt(0)
    E = F.conv2d(G, W_2.flip(2, 3).transpose(0, 1), padding=1) * A.gt(0)
    G_Z = G + F.conv2d(E, W_1.flip(2, 3).transpose(0, 1), padding=1)
    return G_Z, weights(E, Z), E.sum((0, 2, 3)), weights(G, H), G.sum((0, 2, 3))


# %% residual_block_backward: example by example
def residual_block_backward(G, Z, W_1, b_1, W_2, b_2):
    parts, totals = [], [0, 0, 0, 0]
    for z, g in zip(Z.split(1), G.split(1)):
        H = conv2d_forward(z, W_1, b_1, 1, 1).clamp(min=0)
        g = g * (conv2d_forward(H, W_2, b_2, 1, 1) + z > 0)
        g_H, *second = conv2d_backward(g, H, W_2, b_2, 1, 1)
        g_F, *first = conv2d_backward(g_H * (H > 0), z, W_1, b_1, 1, 1)
        parts.append(g_F + g)
        totals = [total + new for total, new in zip(totals, first + second)]
    return torch.cat(parts), *totals


# %% residual_block_backward: float32
def residual_block_backward(G, Z, W_1, b_1, W_2, b_2):
    G, Z, W_1, b_1, W_2, b_2 = (a.float() for a in (G, Z, W_1, b_1, W_2, b_2))
    H = F.conv2d(Z, W_1, b_1, padding=1).relu()
    G = G * (F.conv2d(H, W_2, b_2, padding=1) + Z > 0)
    G_H, G_W_2, G_b_2 = conv2d_backward(G, H, W_2, b_2, 1, 1)
    G_F, G_W_1, G_b_1 = conv2d_backward(G_H * (H > 0), Z, W_1, b_1, 1, 1)
    return G_F + G, G_W_1, G_b_1, G_W_2, G_b_2


# %% residual_block_backward: numpy for the masks and the sum
def residual_block_backward(G, Z, W_1, b_1, W_2, b_2):
    A = conv2d_forward(Z, W_1, b_1, 1, 1)
    H = torch.from_numpy(np.maximum(A.numpy(), 0))
    on = np.asarray(conv2d_forward(H, W_2, b_2, 1, 1)) + Z.numpy() > 0
    G = torch.from_numpy(np.where(on, G.numpy(), 0))
    G_H, G_W_2, G_b_2 = conv2d_backward(G, H, W_2, b_2, 1, 1)
    G_F, G_W_1, G_b_1 = conv2d_backward(G_H * (A > 0), Z, W_1, b_1, 1, 1)
    return dict(G_Z=G_F.numpy() + G.numpy(), G_W_1=G_W_1, G_b_1=G_b_1, G_W_2=G_W_2, G_b_2=G_b_2)


# %% input_gradient: F.conv2d with the flipped filter
def input_gradient(X, y, W, b, V, c):
    A = F.conv2d(X, W, b, padding=1)
    logits = F.adaptive_avg_pool2d(A.relu(), 1).flatten(1) @ V.T + c
    G = (logits.softmax(1) - F.one_hot(y, len(V))) / len(y)
    G_A = (A > 0) * (G @ V)[..., None, None] / (A.shape[2] * A.shape[3])
    return F.cross_entropy(logits, y), F.conv2d(G_A, W.flip(2, 3).transpose(0, 1), padding=1)


# %% input_gradient: image by image
def input_gradient(X, y, W, b, V, c):
    loss, G_X = 0.0, torch.zeros_like(X)
    for n in range(len(X)):
        A = conv2d_forward(X[n : n + 1], W, b, 1, 1)
        l, G = softmax_cross_entropy(A.clamp(min=0).mean((2, 3)) @ V.T + c, y[n : n + 1])
        G_A = (G @ V)[:, :, None, None] * (A > 0) / A[0, 0].numel()
        loss += float(l) / len(X)
        G_X[n] = conv2d_backward(G_A, X[n : n + 1], W, b, 1, 1)[0][0] / len(X)
    return loss, G_X


# %% input_gradient: numpy for the head
def input_gradient(X, y, W, b, V, c):
    A = conv2d_forward(X, W, b, 1, 1).numpy()
    logits = np.maximum(A, 0).mean((2, 3)) @ V.numpy().T + c.numpy()
    P = np.exp(logits - logits.max(1, keepdims=True))
    P /= P.sum(1, keepdims=True)
    rows = np.arange(len(y))
    loss = -np.log(P[rows, y.numpy()]).mean()
    P[rows, y.numpy()] -= 1
    G_A = (P / len(y) @ V.numpy())[:, :, None, None] * (A > 0) / A[0, 0].size
    return loss, conv2d_backward(torch.from_numpy(G_A), X, W, b, 1, 1)[0]


# %% input_gradient: float32
def input_gradient(X, y, W, b, V, c):
    X, W, b, V, c = (a.float() for a in (X, W, b, V, c))
    A = F.conv2d(X, W, b, padding=1)
    loss, G = softmax_cross_entropy(A.relu().mean((2, 3)) @ V.T + c, y)
    return loss, conv2d_backward((G @ V)[:, :, None, None] * (A > 0) / A[0, 0].numel(), X, W, b, 1, 1)[0]


# %% input_gradient: einsum over places, F.fold back to the image
def input_gradient(X, y, W, b, V, c):
    A = torch.einsum("km,nml->nkl", W.flatten(1), F.unfold(X, 3, padding=1)) + b[:, None]
    logits = torch.einsum("nkl,mk->nm", A.clamp(min=0), V) / A.shape[2] + c
    p = torch.exp(logits - logits.logsumexp(1, keepdim=True))
    G = (p - torch.eye(len(V))[y]) / len(y)
    G_A = torch.einsum("nm,mk,nkl->nkl", G, V, (A > 0).double()) / A.shape[2]
    G_X = F.fold(torch.einsum("km,nkl->nml", W.flatten(1), G_A), X.shape[2:], 3, padding=1)
    return -p[torch.arange(len(y)), y].log().mean(), G_X


# %% lenet_backward: pooled after ReLU, ReLU's slope on the way back, keys in order
def lenet_backward(X, y, P):
    A = conv2d_forward(X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    H = A.relu()
    Z = F.max_pool2d(H, 2)
    B = conv2d_forward(Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    K = B.relu()
    Z_1 = F.max_pool2d(K, 2).flatten(1)
    Z_2 = (Z_1 @ P["fc1.weight"].T + P["fc1.bias"]).relu()
    Z_3 = (Z_2 @ P["fc2.weight"].T + P["fc2.bias"]).relu()
    loss, G_3 = softmax_cross_entropy(Z_3 @ P["fc3.weight"].T + P["fc3.bias"], y)
    G_2 = G_3 @ P["fc3.weight"] * (Z_3 > 0)
    G_1 = G_2 @ P["fc2.weight"] * (Z_2 > 0)
    G = (G_1 @ P["fc1.weight"]).view(len(X), -1, 5, 5)
    G = max_pool_backward(G, K, 2, 2, 0) * (B > 0)
    G, W_2, b_2 = conv2d_backward(G, Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    G = max_pool_backward(G, H, 2, 2, 0) * (A > 0)
    _, W_1, b_1 = conv2d_backward(G, X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    linear = [G_1.T @ Z_1, G_1.sum(0), G_2.T @ Z_2, G_2.sum(0), G_3.T @ Z_3, G_3.sum(0)]
    return loss, dict(zip(P, [W_1, b_1, W_2, b_2, *linear]))


# %% lenet_backward: one class a layer
class Convolution:
    def __init__(self, name, padding):
        self.name, self.padding = name, padding

    def forward(self, Z, P):
        self.Z, self.W, self.b = Z, P[f"{self.name}.weight"], P[f"{self.name}.bias"]
        return conv2d_forward(Z, self.W, self.b, 1, self.padding)

    def back(self, G, grads):
        G, grads[f"{self.name}.weight"], grads[f"{self.name}.bias"] = conv2d_backward(
            G, self.Z, self.W, self.b, 1, self.padding
        )
        return G


class Linear:
    def __init__(self, name):
        self.name = name

    def forward(self, Z, P):
        self.Z, self.W = Z, P[f"{self.name}.weight"]
        return Z @ self.W.T + P[f"{self.name}.bias"]

    def back(self, G, grads):
        grads[f"{self.name}.weight"], grads[f"{self.name}.bias"] = G.T @ self.Z, G.sum(0)
        return G @ self.W


class Relu:
    def forward(self, Z, P):
        self.on = Z > 0
        return Z * self.on

    def back(self, G, grads):
        return G * self.on


class Pool:
    def forward(self, Z, P):
        self.Z = Z
        return F.max_pool2d(Z, 2)

    def back(self, G, grads):
        return max_pool_backward(G, self.Z, 2, 2, 0)


class Flat:
    def forward(self, Z, P):
        self.shape = Z.shape
        return Z.flatten(1)

    def back(self, G, grads):
        return G.reshape(self.shape)


def lenet_backward(X, y, P):
    features = [Convolution("conv1", 2), Relu(), Pool(), Convolution("conv2", 0), Relu(), Pool(), Flat()]
    layers = [*features, Linear("fc1"), Relu(), Linear("fc2"), Relu(), Linear("fc3")]
    Z, grads = X, {}
    for layer in layers:
        Z = layer.forward(Z, P)
    loss, G = softmax_cross_entropy(Z, y)
    for layer in reversed(layers):
        G = layer.back(G, grads)
    return loss, grads


# %% lenet_backward: F.unfold and F.fold, no other question's function
def lenet_backward(X, y, P):
    def forward(Z, name, padding):
        W = P[f"{name}.weight"]
        columns = F.unfold(Z, 5, padding=padding)
        A = W.flatten(1) @ columns + P[f"{name}.bias"][:, None]
        side = Z.shape[2] + 2 * padding - 4
        pooled, at = F.max_pool2d(A.view(len(Z), -1, side, side), 2, return_indices=True)
        return columns, pooled.relu(), at

    def back(G, name, columns, at, side):
        flat = torch.zeros(G.shape[0], G.shape[1], side * side, dtype=G.dtype)
        G = flat.scatter_add(2, at.flatten(2), G.flatten(2))
        grads[f"{name}.weight"] = torch.einsum("nkl,nml->km", G, columns).view(P[f"{name}.weight"].shape)
        grads[f"{name}.bias"] = G.sum((0, 2))
        return P[f"{name}.weight"].flatten(1).T @ G

    grads = {}
    columns_1, Z, at_1 = forward(X, "conv1", 2)
    columns_2, Z_1, at_2 = forward(Z, "conv2", 0)
    Zs = [Z_1.flatten(1)]
    for name in ("fc1", "fc2", "fc3"):
        Zs.append(
            F.linear(Zs[-1], P[f"{name}.weight"], P[f"{name}.bias"]).clamp(min=0 if name != "fc3" else -torch.inf)
        )
    loss, G = F.cross_entropy(Zs[-1], y), (Zs[-1].softmax(1) - F.one_hot(y, 10)) / len(y)
    for name, Z_i in (("fc3", Zs[2]), ("fc2", Zs[1]), ("fc1", Zs[0])):
        grads |= {f"{name}.weight": G.T @ Z_i, f"{name}.bias": G.sum(0)}
        G = G @ P[f"{name}.weight"] * (Z_i > 0)
    G = F.fold(back(G.view(Z_1.shape), "conv2", columns_2, at_2, 10), 14, 5)
    back(G * (Z > 0), "conv1", columns_1, at_1, 28)
    return loss, grads


# %% lenet_backward: float32
def lenet_backward(X, y, P):
    P = {name: w.float() for name, w in P.items()}
    A = conv2d_forward(X.float(), P["conv1.weight"], P["conv1.bias"], 1, 2)
    Z = F.max_pool2d(A, 2).clamp(min=0)
    B = conv2d_forward(Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    Zs = [F.max_pool2d(B, 2).clamp(min=0).flatten(1)]
    for name in ("fc1", "fc2"):
        Zs.append((Zs[-1] @ P[f"{name}.weight"].T + P[f"{name}.bias"]).clamp(min=0))
    loss, G = softmax_cross_entropy(Zs[-1] @ P["fc3.weight"].T + P["fc3.bias"], y)
    grads = dict.fromkeys(P)
    for name, Z_i in zip(("fc3", "fc2", "fc1"), reversed(Zs)):
        grads[f"{name}.weight"], grads[f"{name}.bias"] = G.T @ Z_i, G.sum(0)
        G = G @ P[f"{name}.weight"] * (Z_i > 0)
    G = max_pool_backward(G.reshape(len(X), -1, 5, 5), B, 2, 2, 0)
    G, grads["conv2.weight"], grads["conv2.bias"] = conv2d_backward(G, Z, P["conv2.weight"], None, 1, 0)
    G = max_pool_backward(G * (Z > 0), A, 2, 2, 0)
    grads["conv1.weight"], grads["conv1.bias"] = conv2d_backward(G, X.float(), P["conv1.weight"], None, 1, 2)[1:]
    return loss, grads


# %% lenet_backward: example by example, averaged at the end
right_for_one = lenet_backward


def lenet_backward(X, y, P):
    total, grads = 0.0, {name: torch.zeros_like(w) for name, w in P.items()}
    for n in range(len(X)):
        loss, each = right_for_one(X[n : n + 1], y[n : n + 1], P)
        total += float(loss) / len(X)
        for name, g in each.items():
            grads[name] += g / len(X)
    return total, grads


# %% lenet_backward: numpy for the linear layers
def lenet_backward(X, y, P):
    A = F.conv2d(X, P["conv1.weight"], P["conv1.bias"], padding=2)
    Z = F.max_pool2d(A.relu(), 2)
    B = F.conv2d(Z, P["conv2.weight"], P["conv2.bias"])
    p = {name: w.numpy() for name, w in P.items()}
    z_1 = F.max_pool2d(B.relu(), 2).flatten(1).numpy()
    z_2 = np.maximum(z_1 @ p["fc1.weight"].T + p["fc1.bias"], 0)
    z_3 = np.maximum(z_2 @ p["fc2.weight"].T + p["fc2.bias"], 0)
    logits = z_3 @ p["fc3.weight"].T + p["fc3.bias"]
    log_p = logits - logits.max(1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(1, keepdims=True))
    Y = np.eye(10)[y.numpy()]
    g, grads = (np.exp(log_p) - Y) / len(Y), {}
    for name, z in (("fc3", z_3), ("fc2", z_2), ("fc1", z_1)):
        grads[f"{name}.weight"], grads[f"{name}.bias"] = g.T @ z, g.sum(0)
        g = g @ p[f"{name}.weight"] * (z > 0)
    G = max_pool_backward(torch.from_numpy(g).reshape(len(X), -1, 5, 5), B, 2, 2, 0)
    G, grads["conv2.weight"], grads["conv2.bias"] = conv2d_backward(G, Z, P["conv2.weight"], P["conv2.bias"], 1, 0)
    G = max_pool_backward(G * (Z > 0), A, 2, 2, 0)
    _, grads["conv1.weight"], grads["conv1.bias"] = conv2d_backward(G, X, P["conv1.weight"], P["conv1.bias"], 1, 2)
    return -(Y * log_p).sum() / len(Y), grads


# %% train_lenet: Adam
def train_lenet(X, y, seed):
    generator, X, P = torch.Generator().manual_seed(seed), X.float(), {}
    for layer, shape in dict(
        conv1=(6, 1, 5, 5), conv2=(16, 6, 5, 5), fc1=(120, 400), fc2=(84, 120), fc3=(10, 84)
    ).items():
        W = torch.randn(shape, generator=generator).float()
        P |= {f"{layer}.weight": W * (2 / W[0].numel()) ** 0.5, f"{layer}.bias": torch.zeros(len(W)).float()}
    m = {name: torch.zeros_like(w) for name, w in P.items()}
    v = {name: torch.zeros_like(w) for name, w in P.items()}
    t = 0
    for _ in range(4):
        for batch in torch.randperm(len(X), generator=generator).split(50):
            t += 1
            for name, g in lenet_backward(X[batch], y[batch], P)[1].items():
                m[name] = 0.9 * m[name] + 0.1 * g
                v[name] = 0.99 * v[name] + 0.01 * g**2
                P[name] = P[name] - 0.002 * m[name] / (1 - 0.9**t) / ((v[name] / (1 - 0.99**t)).sqrt() + 1e-8)
    return P


# %% train_lenet: float64, plain gradient descent, a tuple in the order of the names
def train_lenet(X, y, seed):
    generator = torch.Generator().manual_seed(seed)
    names = [f"{layer}.{kind}" for layer in ("conv1", "conv2", "fc1", "fc2", "fc3") for kind in ("weight", "bias")]
    shapes = [(6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,), (120, 400), (120,), (84, 120), (84,), (10, 84), (10,)]
    P = {}
    for name, shape in zip(names, shapes):
        n = math.prod(shape[1:])
        P[name] = torch.randn(shape, generator=generator) * math.sqrt(2 / n) if len(shape) > 1 else torch.zeros(shape)
    for _ in range(5):
        for batch in torch.randperm(len(X), generator=generator).split(30):
            grads = lenet_backward(X[batch], y[batch], P)[1]
            P = {name: P[name] - 0.1 * grads[name] for name in names}
    return tuple(P[name] for name in names)


# %% train_lenet: F.conv2d forward, F.unfold and F.fold backward, more epochs
def train_lenet(X, y, seed):
    def forward(Z, name, padding):
        columns = F.unfold(Z, 5, padding=padding)
        A = F.conv2d(Z, P[f"{name}.weight"], P[f"{name}.bias"], padding=padding)
        pooled, at = F.max_pool2d(A, 2, return_indices=True)
        return columns, pooled.relu(), at

    def back(G, name, columns, at, side):
        flat = torch.zeros(len(G), G.shape[1], side * side, dtype=G.dtype)
        G = flat.scatter_add(2, at.flatten(2), G.flatten(2))
        grads[f"{name}.weight"] = torch.einsum("nkl,nml->km", G, columns).view(P[f"{name}.weight"].shape)
        grads[f"{name}.bias"] = G.sum((0, 2))
        return P[f"{name}.weight"].flatten(1).T @ G

    generator, P = torch.Generator().manual_seed(seed), {}
    for layer, shape in dict(
        conv1=(6, 1, 5, 5), conv2=(16, 6, 5, 5), fc1=(120, 400), fc2=(84, 120), fc3=(10, 84)
    ).items():
        W = torch.randn(shape, generator=generator, dtype=torch.float32)
        P |= {f"{layer}.weight": W * (2 / W[0].numel()) ** 0.5, f"{layer}.bias": torch.zeros(len(W), dtype=W.dtype)}
    V = {name: torch.zeros_like(w) for name, w in P.items()}
    for _ in range(8):
        for batch in torch.randperm(len(X), generator=generator).split(50):
            grads = {}
            columns_1, Z, at_1 = forward(X[batch].float(), "conv1", 2)
            columns_2, Z_1, at_2 = forward(Z, "conv2", 0)
            Zs = [Z_1.flatten(1)]
            for name in ("fc1", "fc2"):
                Zs.append((Zs[-1] @ P[f"{name}.weight"].T + P[f"{name}.bias"]).relu())
            p = (Zs[-1] @ P["fc3.weight"].T + P["fc3.bias"]).softmax(1)
            G = (p - F.one_hot(y[batch], 10)) / len(p)
            for name, Z_i in zip(("fc3", "fc2", "fc1"), reversed(Zs)):
                grads |= {f"{name}.weight": G.T @ Z_i, f"{name}.bias": G.sum(0)}
                G = G @ P[f"{name}.weight"] * (Z_i > 0)
            G = F.fold(back(G.view(Z_1.shape), "conv2", columns_2, at_2, 10), 14, 5)
            back(G * (Z > 0), "conv1", columns_1, at_1, 28)
            for name, g in grads.items():
                V[name] = 0.9 * V[name] + g
                P[name] = P[name] - 0.02 * V[name]
    return P


# %% train_lenet: numpy arrays returned, batches drawn with replacement, images moved by a pixel
def train_lenet(X, y, seed):
    generator, X, P = torch.Generator().manual_seed(seed), X.float(), {}
    for layer, shape in dict(
        conv1=(6, 1, 5, 5), conv2=(16, 6, 5, 5), fc1=(120, 400), fc2=(84, 120), fc3=(10, 84)
    ).items():
        W = torch.randn(shape, generator=generator, dtype=torch.float32)
        P |= {f"{layer}.weight": W * (2 / W[0].numel()) ** 0.5, f"{layer}.bias": torch.zeros(len(W), dtype=W.dtype)}
    V = {name: torch.zeros_like(w) for name, w in P.items()}
    for _ in range(400):
        batch = torch.randint(len(X), (50,), generator=generator)
        down, right = torch.randint(-1, 2, (2,), generator=generator).tolist()
        _, grads = lenet_backward(X[batch].roll((down, right), (2, 3)), y[batch], P)
        for name, g in grads.items():
            V[name] = 0.9 * V[name] + g
            P[name] = P[name] - 0.02 * V[name]
    return {name: w.numpy() for name, w in P.items()}


# %% train_lenet: the solution's steps, a step size that falls, an OrderedDict
def train_lenet(X, y, seed):
    from collections import OrderedDict

    generator, X, P = torch.Generator().manual_seed(seed), X.float(), OrderedDict()
    for layer, shape in dict(
        conv1=(6, 1, 5, 5), conv2=(16, 6, 5, 5), fc1=(120, 400), fc2=(84, 120), fc3=(10, 84)
    ).items():
        W = torch.randn(shape, generator=generator, dtype=torch.float32)
        P[f"{layer}.weight"] = W * (2 / W[0].numel()) ** 0.5
        P[f"{layer}.bias"] = torch.zeros(len(W), dtype=torch.float32)
    batches = [b for _ in range(4) for b in torch.randperm(len(X), generator=generator).split(25)]
    for t, batch in enumerate(batches):
        grads = lenet_backward(X[batch], y[batch], P)[1]
        for name in P:
            P[name] = P[name] - 0.15 * (1 - t / len(batches)) * grads[name]
    return P


# %% circulant_transpose: rows of the flipped filter rolled
def circulant_transpose(w, n):
    k = len(w)
    c = (k - 1) // 2
    row = F.pad(w.flip(0), (0, n - k)).roll(-(k - 1 - c))
    S_T = torch.zeros(n, n - k + 1)
    S_T[range(c, c + n - k + 1), range(n - k + 1)] = 1
    return torch.stack([row.roll(i) for i in range(n)]), S_T


# %% circulant_transpose: columns by index
def circulant_transpose(w, n):
    k, i = len(w), torch.arange(n)
    c = (k - 1) // 2
    C_T = torch.zeros(n, n)
    for j in range(k):
        C_T[(i + j - c) % n, i] = w[j]
    return C_T, torch.eye(n)[:, c : c + n - k + 1]


# %% circulant_transpose: numpy
def circulant_transpose(w, n):
    k = len(w)
    c = (k - 1) // 2
    C_T = np.zeros((n, n))
    for i, j in np.ndindex(n, k):
        C_T[i, (i + c - j) % n] = w[j]
    return C_T, np.pad(np.eye(n - k + 1), ((c, k - 1 - c), (0, 0)))


# %% circulant_transpose: zero padding by F.pad, identity matrices rolled the other way
def circulant_transpose(w, n):
    k = len(w)
    c = (k - 1) // 2
    C_T = sum(w[j] * torch.eye(n).roll(c - j, 1) for j in range(k))
    return C_T, F.pad(torch.eye(n - k + 1), (0, 0, c, k - 1 - c))


# %% circulant_transpose: nested lists, a dict
def circulant_transpose(w, n):
    w, k = w.tolist(), len(w)
    c = (k - 1) // 2
    entry = lambda d: w[d] if d < k else 0.0
    C_T = [[entry((i - j + c) % n) for j in range(n)] for i in range(n)]
    return {"C_T": C_T, "S_T": [[float(i == j + c) for j in range(n - k + 1)] for i in range(n)]}


# %% batch_norm_forward: two branches
def batch_norm_forward(Z, gamma, beta, mean, var, momentum, eps, training):
    shape = (1, -1, 1, 1)
    if not training:
        A = (Z - mean.view(shape)) / torch.sqrt(var.view(shape) + eps)
        return A * gamma.view(shape) + beta.view(shape), mean, var
    mu = Z.mean(dim=(0, 2, 3), keepdim=True)
    v = ((Z - mu) ** 2).mean(dim=(0, 2, 3), keepdim=True)
    m = Z[:, 0].numel()
    new_mean = (1 - momentum) * mean + momentum * mu.flatten()
    new_var = (1 - momentum) * var + momentum * v.flatten() * m / (m - 1)
    return gamma.view(shape) * (Z - mu) / torch.sqrt(v + eps) + beta.view(shape), new_mean, new_var


# %% batch_norm_forward: numpy
def batch_norm_forward(Z, gamma, beta, mean, var, momentum, eps, training):
    Z, gamma, beta, mean, var = (a.numpy() for a in (Z, gamma, beta, mean, var))
    mu, v = (Z.mean((0, 2, 3)), Z.var((0, 2, 3))) if training else (mean, var)
    if training:
        mean = (1 - momentum) * mean + momentum * mu
        var = (1 - momentum) * var + momentum * Z.var((0, 2, 3), ddof=1)
    Z_hat = (Z - mu[:, None, None]) / np.sqrt(v[:, None, None] + eps)
    return gamma[:, None, None] * Z_hat + beta[:, None, None], mean, var


# %% batch_norm_forward: float32
def batch_norm_forward(Z, gamma, beta, mean, var, momentum, eps, training):
    Z, gamma, beta, mean, var = (a.float() for a in (Z, gamma, beta, mean, var))
    mu, v = mean, var
    if training:
        mu, v = Z.mean((0, 2, 3)), Z.var((0, 2, 3), unbiased=False)
        mean, var = mean.lerp(mu, momentum), var.lerp(Z.var((0, 2, 3)), momentum)
    scale = gamma / (v + eps).sqrt()
    return Z * scale[:, None, None] + (beta - mu * scale)[:, None, None], mean, var


# %% batch_norm_forward: channel by channel
def batch_norm_forward(Z, gamma, beta, mean, var, momentum, eps, training):
    A, mean, var = torch.empty_like(Z), mean.clone(), var.clone()
    for c in range(Z.shape[1]):
        z = Z[:, c]
        mu, v = (z.mean(), z.var(correction=0)) if training else (mean[c].clone(), var[c].clone())
        if training:
            mean[c] += momentum * (mu - mean[c])
            var[c] += momentum * (z.var() - var[c])
        A[:, c] = gamma[c] * (z - mu) / math.sqrt(v + eps) + beta[c]
    return A, mean, var


# %% batch_norm_forward: torch.var_mean, channels last
def batch_norm_forward(Z, gamma, beta, mean, var, momentum, eps, training):
    last = Z.movedim(1, -1)
    v, mu = torch.var_mean(last, dim=(0, 1, 2), correction=0) if training else (var, mean)
    if training:
        m = last[..., 0].numel()
        mean = torch.lerp(mean, mu, momentum)
        var = torch.lerp(var, v * (m / (m - 1)), momentum)
    A = (last - mu) * torch.rsqrt(v + eps) * gamma + beta
    return dict(A=A.movedim(-1, 1), mean=mean, var=var)


# %% average_pool_backward: window by window
def average_pool_backward(G, Z, size, stride):
    G_Z = torch.zeros_like(Z)
    for i in range(G.shape[2]):
        for j in range(G.shape[3]):
            here = (..., slice(i * stride, i * stride + size), slice(j * stride, j * stride + size))
            G_Z[here] += G[:, :, i, j, None, None] / size**2
    return G_Z


# %% average_pool_backward: every entry of G on its own, numpy
def average_pool_backward(G, Z, size, stride):
    G_Z = np.zeros(tuple(Z.shape))
    for n, c, i, j in np.ndindex(*G.shape):
        G_Z[n, c, i * stride : i * stride + size, j * stride : j * stride + size] += G[n, c, i, j].item() / size**2
    return G_Z


# %% average_pool_backward: conv2d_backward with a filter of equal weights
def average_pool_backward(G, Z, size, stride):
    flat, G = Z.flatten(0, 1)[:, None], G.flatten(0, 1)[:, None]
    W = torch.full((1, 1, size, size), 1 / size**2)
    return conv2d_backward(G, flat, W, torch.zeros(1), stride, 0)[0].reshape(Z.shape)


# %% average_pool_backward: F.fold
def average_pool_backward(G, Z, size, stride):
    G = G.flatten(0, 1).flatten(1)[:, None].expand(-1, size * size, -1)
    return F.fold(G / (size * size), tuple(Z.shape[2:]), size, stride=stride).view_as(Z)


# %% average_pool_backward: two matrices of windows
def average_pool_backward(G, Z, size, stride):
    def windows(n, m):
        M = torch.zeros(m, n)
        for i in range(m):
            M[i, i * stride : i * stride + size] = 1 / size
        return M

    return windows(Z.shape[2], G.shape[2]).T @ G @ windows(Z.shape[3], G.shape[3])


# %% average_pool_backward: float32
def average_pool_backward(G, Z, size, stride):
    G_Z, (P, Q) = torch.zeros(Z.shape, dtype=torch.float32), G.shape[2:]
    for u in range(size):
        for v in range(size):
            G_Z[:, :, u : u + stride * P : stride, v : v + stride * Q : stride] += G.float() / size**2
    return G_Z


# %% concat_backward: one matrix, cut afterwards
def concat_backward(G, Z, Ws):
    W = torch.cat(Ws)
    G_W = torch.einsum("nkhw,nchw->kc", G, Z)
    return torch.einsum("nkhw,kc->nchw", G, W), list(G_W.split([len(W) for W in Ws]))


# %% concat_backward: a running start
def concat_backward(G, Z, Ws):
    G_Z, G_Ws, start = torch.zeros_like(Z), [], 0
    for W in Ws:
        part = G[:, start : start + len(W)]
        start += len(W)
        G_Z = G_Z + (part.movedim(1, -1) @ W).movedim(-1, 1)
        G_Ws.append(part.movedim(1, 0).flatten(1) @ Z.movedim(1, 0).flatten(1).T)
    return G_Z, G_Ws


# %% concat_backward: conv2d_backward for each branch
def concat_backward(G, Z, Ws):
    G_Z, G_Ws = 0, []
    for part, W in zip(G.split([W.shape[0] for W in Ws], dim=1), Ws):
        g_Z, g_W, _ = conv2d_backward(part, Z, W[:, :, None, None], None, 1, 0)
        G_Z, G_Ws = G_Z + g_Z, [*G_Ws, g_W[:, :, 0, 0]]
    return G_Z, tuple(G_Ws)


# %% concat_backward: numpy
def concat_backward(G, Z, Ws):
    cuts = np.cumsum([len(W) for W in Ws])[:-1]
    parts = np.split(G.numpy(), cuts, axis=1)
    G_Z = sum(np.einsum("nkhw,kc->nchw", part, W.numpy()) for part, W in zip(parts, Ws))
    return G_Z, [np.einsum("nkhw,nchw->kc", part, Z.numpy()) for part in parts]


# %% concat_backward: float32
def concat_backward(G, Z, Ws):
    G, Z = G.float(), Z.float()
    parts = torch.split(G, [len(W) for W in Ws], 1)
    G_Z = torch.stack([torch.einsum("nkhw,kc->nchw", part, W.float()) for part, W in zip(parts, Ws)]).sum(0)
    return {"G_Z": G_Z, "G_Ws": [torch.einsum("nkhw,nchw->kc", part, Z) for part in parts]}


# %% concat_backward: F.conv2d with the transposed matrices
def concat_backward(G, Z, Ws):
    G_Z, G_Ws, rest = torch.zeros_like(Z), [], G
    for W in Ws:
        part, rest = rest[:, : len(W)], rest[:, len(W) :]
        G_Z += F.conv2d(part, W.T[:, :, None, None])
        G_Ws.append(torch.tensordot(part, Z, dims=([0, 2, 3], [0, 2, 3])))
    return G_Z, G_Ws
