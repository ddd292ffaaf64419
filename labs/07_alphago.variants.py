"""Right answers of the lab `alphago` in the many ways that people write them: each must earn all points.

A cell's title is `question: how it is written`; it runs after all solutions of the lab, in their namespace.
"""
# ruff: noqa: F811, F821


# %% puct: entry by entry
def puct(N, W, P, c):
    root = math.sqrt(max(1, N.sum().item()))
    scores = []
    for n, w, p in zip(N.tolist(), W.tolist(), P.tolist()):
        q = -w / n if n > 0 else 0.0
        scores.append(q + c * p * root / (1 + n))
    return scores


# %% puct: numpy
def puct(N, W, P, c):
    N, W, P = N.numpy(), W.numpy(), P.numpy()
    Q = np.divide(-W, N, out=np.zeros(len(N)), where=N > 0)
    return Q + c * P * np.sqrt(max(N.sum(), 1)) / (1 + N)


# %% puct: torch.where, which does not mind the nan on its other side
def puct(N, W, P, c):
    Q = torch.where(N > 0, -W / N, torch.zeros(len(N)))
    return Q + c * P * torch.sqrt(torch.clamp(N.sum(), min=1)) / (N + 1)


# %% puct: nan made 0
def puct(N, W, P, c):
    total = N.sum() if N.any() else 1
    return (W / N).nan_to_num(0).neg() + c * P * total**0.5 / (1 + N)


# %% puct: float32
def puct(N, W, P, c):
    N, W, P = N.float(), W.float(), P.float()
    scores = c * P / (1 + N) * N.sum().clamp(min=1).sqrt()
    seen = N > 0
    scores[seen] -= W[seen] / N[seen]
    return scores


# %% puct: a mask of those visited
def puct(N, W, P, c):
    visited = N > 0
    Q = torch.zeros(len(N))
    Q[visited] = -(W[visited] / N[visited])
    u = c * P / (1 + N)
    if visited.any():
        u = u * math.sqrt(int(N.sum()))
    return Q + u


# %% select_leaf: lists
def select_leaf(N, W, P, parent, c):
    parents = parent.tolist()
    path = [0]
    while path[-1] in parents:
        children = [i for i, above in enumerate(parents) if above == path[-1]]
        scores = puct(N[children], W[children], P[children], c)
        path.append(children[int(torch.as_tensor(scores).argmax())])
    return path


# %% select_leaf: without puct
def select_leaf(N, W, P, parent, c):
    node, path = 0, [0]
    while (parent == node).any():
        best = -math.inf
        children = torch.where(parent == node)[0].tolist()
        root = math.sqrt(max(1, sum(N[i].item() for i in children)))
        for i in children:
            score = (-W[i] / N[i] if N[i] else 0) + c * P[i] * root / (1 + N[i])
            if score > best:
                best, following = score, i
        node = following
        path.append(node)
    return torch.tensor(path)


# %% select_leaf: recursion
def select_leaf(N, W, P, parent, c, i=0):
    children = torch.nonzero(parent == i).flatten()
    if not len(children):
        return [i]
    scores = puct(N[children], W[children], P[children], c)
    return [i, *select_leaf(N, W, P, parent, c, int(children[scores.argmax()]))]


# %% select_leaf: numpy
def select_leaf(N, W, P, parent, c):
    above, path = parent.numpy(), [0]
    while True:
        children = np.flatnonzero(above == path[-1])
        if children.size == 0:
            return np.array(path)
        scores = np.asarray(puct(N[children], W[children], P[children], c))
        path.append(children[scores.argmax()])


# %% select_leaf: all scores, and -inf where no child stands
def select_leaf(N, W, P, parent, c):
    path = torch.zeros(1, dtype=torch.int64)
    while True:
        below = parent == path[-1]
        if not below.any():
            return path
        scores = torch.full((len(N),), -torch.inf)
        scores[below] = puct(N[below], W[below], P[below], c)
        path = torch.cat([path, scores.argmax()[None]])


# %% select_leaf: scores of the whole tree at once
def select_leaf(N, W, P, parent, c):
    total = torch.zeros(len(N), dtype=N.dtype).index_add(0, parent.clamp(min=0)[1:], N[1:]).clamp(min=1)
    scores = -W / N.clamp(min=1) + c * P * total[parent.clamp(min=0)].sqrt() / (1 + N)
    path = [0]
    while True:
        children = [i for i in range(1, len(N)) if parent[i] == path[-1]]
        if not children:
            return path
        path.append(max(children, key=lambda i: scores[i]))


# %% backup: a for loop over the way
def backup(N, W, parent, leaf, v):
    way = [leaf]
    while parent[way[-1]] >= 0:
        way.append(int(parent[way[-1]]))
    N, W = N.clone(), W.clone()
    for h, i in enumerate(way):
        N[i] += 1
        W[i] += v if h % 2 == 0 else -v
    return N, W


# %% backup: at once
def backup(N, W, parent, leaf, v):
    way = [leaf]
    while way[-1] != 0:
        way.append(parent[way[-1]].item())
    N, W = N.clone(), W.clone()
    N[way] += 1
    W[way] += v * (-1.0) ** torch.arange(len(way))
    return N, W


# %% backup: recursion
def backup(N, W, parent, leaf, v):
    if leaf < 0:
        return N, W
    one = torch.arange(len(N)) == leaf
    return backup(N + one, W + v * one, parent, int(parent[leaf]), -v)


# %% backup: lists
def backup(N, W, parent, leaf, v):
    n, w, up = N.tolist(), W.tolist(), parent.tolist()
    while leaf != -1:
        n[leaf] += 1
        w[leaf] += v
        leaf, v = up[leaf], -v
    return n, w


# %% backup: numpy, a dict
def backup(N, W, parent, leaf, v):
    n, w = N.numpy().copy(), W.numpy().copy()
    sign = 1
    while True:
        n[leaf] += 1
        w[leaf] += sign * v
        sign = -sign
        if leaf == 0:
            return {"N": n, "W": w}
        leaf = parent[leaf]


# %% backup: float visits
def backup(N, W, parent, leaf, v):
    N, W = N.double(), W + 0
    while leaf >= 0:
        N[leaf] = N[leaf] + 1
        W[leaf] = W[leaf] + v
        leaf, v = parent[leaf].item(), v * -1
    return N, W


# %% mcts: lists
def mcts(game, state, evaluate, simulations, c):
    N, W, P, children, states, moves = [0], [0.0], [1.0], [[]], [state], [-1]
    for _ in range(simulations):
        path = [0]
        while children[path[-1]]:
            below = children[path[-1]]
            root = math.sqrt(max(1, sum(N[i] for i in below)))
            path.append(max(below, key=lambda i: (-W[i] / N[i] if N[i] else 0) + c * P[i] * root / (1 + N[i])))
        leaf = path[-1]
        v = game.outcome(states[leaf])
        if v is None:
            prior, v = evaluate(states[leaf])
            legal = game.moves(states[leaf])
            total = sum(prior[move].item() for move in legal)
            for move in legal:
                children[leaf].append(len(N))
                N.append(0)
                W.append(0.0)
                P.append(prior[move].item() / total)
                children.append([])
                states.append(game.play(states[leaf], move))
                moves.append(move)
        for i in reversed(path):
            N[i] += 1
            W[i] += v
            v = -v
    visits = [0] * 9
    for i in children[0]:
        visits[moves[i]] = N[i]
    return visits


# %% mcts: nodes as dicts, by recursion
def mcts(game, state, evaluate, simulations, c):
    def node(state, prior):
        return {"state": state, "P": prior, "N": 0, "W": 0.0, "children": {}}

    def simulate(here):
        over = game.outcome(here["state"])
        if over is not None:
            v = over
        elif not here["children"]:
            P, v = evaluate(here["state"])
            legal = game.moves(here["state"])
            total = P[legal].sum()
            here["children"] = {a: node(game.play(here["state"], a), P[a] / total) for a in legal}
        else:
            below = list(here["children"].values())
            N, W, P = (torch.tensor([child[name] for child in below]) for name in "NWP")
            v = -simulate(below[int(puct(N, W, P, c).argmax())])
        here["N"] += 1
        here["W"] += v
        return v

    root = node(state, 1.0)
    for _ in range(simulations):
        simulate(root)
    return torch.tensor([root["children"][a]["N"] if a in root["children"] else 0 for a in range(game.MOVES)])


# %% mcts: a class, values for the player who chose
class Edge:
    def __init__(self, state, prior):
        self.state, self.prior, self.visits, self.total, self.below = state, prior, 0, 0.0, None

    def score(self, c, root):
        mean = self.total / self.visits if self.visits else 0.0
        return mean + c * self.prior * root / (1 + self.visits)


def mcts(game, state, evaluate, simulations, c):
    root = Edge(state, 1.0)
    for _ in range(simulations):
        path = [root]
        while path[-1].below:
            edges = list(path[-1].below.values())
            sqrt = max(1, sum(edge.visits for edge in edges)) ** 0.5
            path.append(max(edges, key=lambda edge: edge.score(c, sqrt)))
        end = path[-1].state
        if game.outcome(end) is None:
            P, v = evaluate(end)
            legal = game.moves(end)
            P = P[legal] / P[legal].sum()
            path[-1].below = {a: Edge(game.play(end, a), p.item()) for a, p in zip(legal, P)}
        else:
            v = game.outcome(end)
        for edge in path[::-1]:
            edge.visits += 1
            edge.total -= v
            v = -v
    visits = np.zeros(9)
    for a, edge in (root.below or {}).items():
        visits[a] = edge.visits
    return visits


# %% mcts: running means in place of sums
def mcts(game, state, evaluate, simulations, c):
    N, Q, P, parent, states, moves = [0], [0.0], [1.0], [-1], [state], [None]
    for _ in range(simulations):
        i = 0
        while kids := [j for j in range(len(parent)) if parent[j] == i]:
            root = max(1, sum(N[j] for j in kids)) ** 0.5
            i = kids[int(np.argmax([-Q[j] + c * P[j] * root / (1 + N[j]) for j in kids]))]
        v = game.outcome(states[i])
        if v is None:
            prior, v = evaluate(states[i])
            prior = prior.numpy().copy()
            legal = game.moves(states[i])
            prior /= prior[legal].sum()
            for a in legal:
                N.append(0)
                Q.append(0.0)
                P.append(prior[a])
                parent.append(i)
                states.append(game.play(states[i], a))
                moves.append(a)
        while i >= 0:
            N[i] += 1
            Q[i] += (v - Q[i]) / N[i]
            i, v = parent[i], -v
    visits = torch.zeros(9)
    for j, above in enumerate(parent):
        if above == 0:
            visits[moves[j]] = N[j]
    return visits


# %% mcts: the four arrays, a terminal's value remembered
def mcts(game, state, evaluate, simulations, c):
    N, W, P, parent = torch.zeros(1).long(), torch.zeros(1), torch.ones(1), torch.full((1,), -1)
    states, moves, ends = [state], [0], {}
    for _ in range(simulations):
        path = select_leaf(N, W, P, parent, c)
        leaf = int(path[-1])
        if leaf not in ends and game.outcome(states[leaf]) is not None:
            ends[leaf] = game.outcome(states[leaf])
        if leaf in ends:
            v = ends[leaf]
        else:
            prior, v = evaluate(states[leaf])
            mask = torch.tensor(states[leaf]) == 0
            prior = torch.where(mask, prior, 0.0)
            prior = prior / prior.sum()
            for a in mask.nonzero().flatten().tolist():
                N, W = F.pad(N, (0, 1)), F.pad(W, (0, 1))
                P = torch.cat([P, prior[a : a + 1]])
                parent = torch.cat([parent, torch.tensor([leaf])])
                states.append(game.play(states[leaf], a))
                moves.append(a)
        N, W = backup(N, W, parent, leaf, v)
    first = (parent == 0).nonzero().flatten().tolist()
    return torch.zeros(9).long().scatter(0, torch.tensor([moves[i] for i in first], dtype=torch.int64), N[first])


# %% visit_policy: logarithms
def visit_policy(N, tau):
    if tau == 0:
        best = N.max() == N
        return best / best.sum()
    return torch.softmax(torch.log(N.double()) / tau, dim=0)


# %% visit_policy: numpy
def visit_policy(N, tau):
    share = N.numpy() / N.max().item()
    power = np.where(share == 1, 1.0, 0.0) if tau == 0 else np.power(share, 1 / tau)
    return power / power.sum()


# %% visit_policy: a loop
def visit_policy(N, tau):
    counts = N.tolist()
    most = max(counts)
    if tau == 0:
        return [1 / counts.count(most) if n == most else 0.0 for n in counts]
    power = [(n / most) ** (1 / tau) for n in counts]
    return [p / sum(power) for p in power]


# %% visit_policy: the largest logarithm taken off
def visit_policy(N, tau):
    if tau < 1e-9:
        pi = torch.zeros(len(N))
        pi[N.max() == N] = 1 / (N.max() == N).sum()
        return pi
    logs = N.double().log()
    power = ((logs - logs.max()) / tau).exp()
    return power / power.sum()


# %% visit_policy: the limit by a very small temperature
def visit_policy(N, tau):
    share = (N / N.max()) ** (1 / max(tau, 1e-6))
    return share / share.sum()


# %% choose_move: the most visited, without a policy
def choose_move(game, state, evaluate, simulations, c):
    return mcts(game, state, evaluate, simulations, c).argmax()


# %% choose_move: as an integer
def choose_move(game, state, evaluate, simulations, c):
    visits = list(mcts(game, state, evaluate, simulations, c))
    return visits.index(max(visits))


# %% choose_move: one of the best at random
def choose_move(game, state, evaluate, simulations, c):
    pi = visit_policy(mcts(game, state, evaluate, simulations, c), 0.0)
    return torch.multinomial(pi, 1).item()


# %% choose_move: among the legal moves
def choose_move(game, state, evaluate, simulations, c):
    visits = mcts(game, state, evaluate, simulations, c)
    return max(game.moves(state), key=lambda move: visits[move])


# %% choose_move: numpy, a few simulations more
def choose_move(game, state, evaluate, simulations, c):
    return np.argmax(np.asarray(mcts(game, state, evaluate, simulations + 1, c)))


# %% symmetries: two loops
def symmetries(board, pi):
    boards, pis = [], []
    for x, y in ((board, pi.view(board.shape)), (board.fliplr(), pi.view(board.shape).fliplr())):
        for k in range(4):
            boards.append(x.rot90(k))
            pis.append(y.rot90(k).reshape(-1))
    return torch.stack(boards), torch.stack(pis)


# %% symmetries: numpy
def symmetries(board, pi):
    n = len(board)
    a, b = board.numpy(), pi.numpy().reshape(n, n)
    boards = [np.rot90(x, k) for x in (a, a[:, ::-1]) for k in range(4)]
    pis = [np.rot90(x, k).ravel() for x in (b, b[:, ::-1]) for k in range(4)]
    return np.stack(boards), np.stack(pis)


# %% symmetries: a quarter turn as a transpose and a flip
def symmetries(board, pi):
    def eight(x):
        forms = []
        for y in (x, x.flip(1)):
            for _ in range(4):
                forms.append(y)
                y = y.T.flip(0)
        return torch.stack(forms)

    return eight(board), eight(pi.reshape(board.shape)).reshape(8, -1)


# %% symmetries: by the numbers of the squares
def symmetries(board, pi):
    n = len(board)
    squares = torch.arange(n * n).reshape(n, n)
    order = torch.stack([torch.rot90(s, k).flatten() for s in (squares, squares.fliplr()) for k in range(4)])
    return board.flatten()[order].reshape(8, n, n), pi[order]


# %% symmetries: entry by entry
def symmetries(board, pi):
    n = board.shape[0]
    square = pi.reshape(n, n)
    boards, pis = torch.zeros(8, n, n), torch.zeros(8, n, n)
    for i in range(n):
        for j in range(n):
            for half, (r, s) in enumerate(((i, j), (i, n - 1 - j))):
                for k in range(4):
                    boards[4 * half + k, r, s] = board[i, j]
                    pis[4 * half + k, r, s] = square[i, j]
                    r, s = n - 1 - s, r
    return boards, torch.stack([p.flatten() for p in pis])


# %% policy_value_gradient: einsum
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    m = X.shape[0]
    H = torch.tanh(torch.einsum("mn,kn->mk", X, W) + b)
    Z = torch.einsum("mk,ak->ma", H, W_p) + b_p
    v = torch.tanh(torch.einsum("mk,k->m", H, W_v[0]) + b_v)
    log_p = Z - torch.logsumexp(Z, dim=1, keepdim=True)
    loss = ((z - v).square().sum() - torch.einsum("ma,ma->", Pi, log_p)) / m
    loss = loss + lam * sum(torch.einsum("ij,ij->", w, w) for w in (W, W_p, W_v))
    D, d = (log_p.exp() - Pi) / m, -2 * (z - v) * (1 - v * v) / m
    G_H = torch.einsum("ma,ak->mk", D, W_p) + torch.einsum("m,k->mk", d, W_v[0])
    A = G_H * (1 - H.square())
    G_W = torch.einsum("mk,mn->kn", A, X) + 2 * lam * W
    G_W_p = torch.einsum("ma,mk->ak", D, H) + 2 * lam * W_p
    G_W_v = torch.einsum("m,mk->k", d, H)[None] + 2 * lam * W_v
    return loss, G_W, A.sum(0), G_W_p, D.sum(0), G_W_v, d.sum()[None]


# %% policy_value_gradient: row by row
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    m, loss = len(X), 0.0
    grads = [torch.zeros_like(w) for w in (W, b, W_p, b_p, W_v, b_v)]
    for x, pi, outcome in zip(X, Pi, z):
        h = torch.tanh(W @ x + b)
        logits = W_p @ h + b_p
        p = torch.softmax(logits, 0)
        v = torch.tensor([math.tanh(W_v @ h + b_v)])
        loss += ((outcome - v[0]) ** 2 - pi @ torch.log_softmax(logits, 0)).item() / m
        g_p, g_v = (p - pi) / m, 2 * (v - outcome) * (1 - v**2) / m
        g = (W_p.T @ g_p + W_v.T @ g_v) * (1 - h**2)
        parts = (torch.outer(g, x), g, torch.outer(g_p, h), g_p, torch.outer(g_v, h), g_v)
        grads = [old + new for old, new in zip(grads, parts)]
    for i, w in ((0, W), (2, W_p), (4, W_v)):
        loss += lam * (w**2).sum().item()
        grads[i] = grads[i] + 2 * lam * w
    return loss, *grads


# %% policy_value_gradient: numpy
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    X, Pi, z, W, b, W_p, b_p, W_v, b_v = (t.numpy() for t in (X, Pi, z, W, b, W_p, b_p, W_v, b_v))
    m = len(X)
    H = np.tanh(X @ W.T + b)
    Z = H @ W_p.T + b_p
    Z = Z - Z.max(1, keepdims=True)
    p = np.exp(Z) / np.exp(Z).sum(1, keepdims=True)
    v = np.tanh(H @ W_v.T + b_v)
    squares = (z[:, None] - v) ** 2
    loss = np.mean(squares[:, 0] - (Pi * np.log(p)).sum(1)) + lam * sum(np.sum(w * w) for w in (W, W_p, W_v))
    D, d = (p - Pi) / m, 2 * (v - z[:, None]) * (1 - v**2) / m
    A = (D @ W_p + d @ W_v) * (1 - H**2)
    shrink = [2 * lam * w for w in (W, W_p, W_v)]
    return loss, A.T @ X + shrink[0], A.sum(0), D.T @ H + shrink[1], D.sum(0), d.T @ H + shrink[2], d.sum(0)


# %% policy_value_gradient: float32, a dict
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    X, Pi, z, W, b, W_p, b_p, W_v, b_v = (t.float() for t in (X, Pi, z, W, b, W_p, b_p, W_v, b_v))
    H = (X @ W.T + b).tanh()
    log_p = F.log_softmax(H @ W_p.T + b_p, dim=-1)
    v = (H @ W_v.T + b_v).tanh().flatten()
    out = {"loss": F.mse_loss(v, z) - (Pi * log_p).sum(1).mean()}
    out["loss"] += lam * (W.pow(2).sum() + W_p.pow(2).sum() + W_v.pow(2).sum())
    D = (log_p.exp() - Pi) / len(X)
    d = (2 * (v - z) * (1 - v * v) / len(X)).unsqueeze(1)
    A = (D @ W_p + d @ W_v) * (1 - H * H)
    for name, G, below, w in (("W", A, X, W), ("W_p", D, H, W_p), ("W_v", d, H, W_v)):
        out[f"G_{name}"] = G.T @ below + 2 * lam * w
        out[f"G_b{name[1:]}"] = G.sum(0)
    return out


# %% policy_value_gradient: the loss by hand from logsumexp, G divided at the end
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    m = len(X)
    H = torch.tanh(F.linear(X, W, b))
    Z, t = F.linear(H, W_p, b_p), F.linear(H, W_v, b_v)
    v = torch.tanh(t).squeeze(1)
    cross = Z.logsumexp(1) * Pi.sum(1) - (Pi * Z).sum(1)
    loss = (cross + (z - v) ** 2).sum() / m + lam * (W.norm() ** 2 + W_p.norm() ** 2 + W_v.norm() ** 2)
    D = Z.softmax(1) - Pi
    d = (2 * (v - z) / torch.cosh(t.squeeze(1)) ** 2).reshape(-1, 1)
    A = (D @ W_p + d * W_v) * (1 - H**2)
    parts = [(A.T @ X, W), (A.sum(0), None), (D.T @ H, W_p), (D.sum(0), None), (d.T @ H, W_v), (d.sum(0), None)]
    return (loss, *(g / m + (0 if w is None else 2 * lam * w) for g, w in parts))


# %% reinforce_gradient: row by row
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    G_W, G_b, G_W_p, G_b_p = (torch.zeros_like(w) for w in (W, b, W_p, b_p))
    for x, may, move, outcome in zip(X, legal, a, z):
        h = torch.tanh(W @ x + b)
        v = math.tanh(W_v @ h + b_v)
        logits = W_p @ h + b_p
        p = torch.zeros(len(b_p))
        p[may] = torch.softmax(logits[may], 0)
        p[move] -= 1
        g_p = (outcome - v) * p / len(X)
        g = (W_p.T @ g_p) * (1 - h * h)
        G_W += torch.outer(g, x)
        G_b += g
        G_W_p += torch.outer(g_p, h)
        G_b_p += g_p
    return G_W, G_b, G_W_p, G_b_p


# %% reinforce_gradient: numpy
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    X, legal, a, z, W, b, W_p, b_p, W_v, b_v = (t.numpy() for t in (X, legal, a, z, W, b, W_p, b_p, W_v, b_v))
    H = np.tanh(X @ W.T + b)
    v = np.tanh(H @ W_v[0] + b_v[0])
    Z = np.where(legal, H @ W_p.T + b_p, -np.inf)
    e = np.exp(Z - Z.max(1, keepdims=True))
    D = e / e.sum(1, keepdims=True) - np.eye(len(b_p))[a]
    D *= (z - v)[:, None] / len(X)
    A = D @ W_p * (1 - H**2)
    return A.T @ X, A.sum(0), D.T @ H, D.sum(0)


# %% reinforce_gradient: one-hot, einsum
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    H = torch.tanh(torch.einsum("mn,kn->mk", X, W) + b)
    advantage = z - torch.tanh(torch.einsum("mk,ok->m", H, W_v) + b_v)
    e = torch.exp(torch.einsum("mk,ak->ma", H, W_p) + b_p) * legal
    p = e / e.sum(1, keepdim=True)
    D = torch.einsum("m,ma->ma", advantage, p - F.one_hot(a, len(b_p))) / len(X)
    A = torch.einsum("ma,ak->mk", D, W_p) * (1 - H**2)
    return torch.einsum("mk,mn->kn", A, X), A.sum(0), torch.einsum("ma,mk->ak", D, H), D.sum(0)


# %% reinforce_gradient: a large negative number in place of -inf, a dict
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    m, H = len(X), torch.tanh(X @ W.T + b)
    v = torch.tanh(H @ W_v.T + b_v).squeeze(1)
    p = torch.softmax(H @ W_p.T + b_p - 1e9 * (~legal).double(), dim=1)
    chosen = torch.zeros_like(p).scatter_(1, a[:, None], 1.0)
    D = (v - z).unsqueeze(1) * (chosen - p) / m
    A = (D @ W_p) * (1 - H * H)
    return {"G_W": A.T @ X, "G_b": A.sum(0), "G_W_p": D.T @ H, "G_b_p": D.sum(0)}


# %% reinforce_gradient: float32
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    X, z, W, b, W_p, b_p, W_v, b_v = (t.float() for t in (X, z, W, b, W_p, b_p, W_v, b_v))
    H = torch.tanh(X @ W.T + b)
    weight = (z - torch.tanh(H @ W_v.T + b_v)[:, 0]) / len(X)
    D = (H @ W_p.T + b_p).masked_fill(legal.logical_not(), float("-inf")).softmax(1)
    D[range(len(a)), a] -= 1
    D = weight[:, None] * D
    A = D @ W_p - (D @ W_p) * H**2
    return A.T @ X, A.sum(0), D.T @ H, D.sum(0)
