"""Every listed mistake of the lab `alphago`, as the code that a student would hand in.

A cell's title is `question: sentence`; it runs after all solutions of the lab, in their namespace.
"""
# ruff: noqa: F811, F821


# %% puct: took the child's value for your own: it is that of the opponent, who moves there
def puct(N, W, P, c):
    Q = torch.where(N > 0, W / N.clamp(min=1), 0.0)
    u = c * P * N.sum().clamp(min=1).sqrt() / (1 + N)
    return Q + u


# %% puct: ignored the prior
def puct(N, W, P, c):
    Q = torch.where(N > 0, -W / N.clamp(min=1), 0.0)
    u = c * N.sum().clamp(min=1).sqrt() / (1 + N)
    return Q + u


# %% puct: gave children that were never visited an infinite score, as UCT does
def puct(N, W, P, c):
    root = math.sqrt(max(1, N.sum()))
    scores = torch.full((len(N),), torch.inf)
    for i in range(len(N)):
        if N[i] > 0:
            scores[i] = -W[i] / N[i] + c * P[i] * root / (1 + N[i])
    return scores


# %% puct: divided 0 by 0 where a child was never visited
def puct(N, W, P, c):
    Q = -W / N
    u = c * P * N.sum().clamp(min=1).sqrt() / (1 + N)
    return Q + u


# %% puct: divided by N, not by 1 + N
def puct(N, W, P, c):
    Q = torch.where(N > 0, -W / N.clamp(min=1), 0.0)
    u = c * P * N.sum().clamp(min=1).sqrt() / N
    return Q + u


# %% puct: took the sum of the visits, not its square root
def puct(N, W, P, c):
    Q = torch.where(N > 0, -W / N.clamp(min=1), 0.0)
    u = c * P * N.sum().clamp(min=1) / (1 + N)
    return Q + u


# %% puct: took the square root of the whole fraction
def puct(N, W, P, c):
    Q = torch.where(N > 0, -W / N.clamp(min=1), 0.0)
    u = c * P * torch.sqrt(N.sum().clamp(min=1) / (1 + N))
    return Q + u


# %% puct: took W for the mean: it is a sum
def puct(N, W, P, c):
    u = c * P * N.sum().clamp(min=1).sqrt() / (1 + N)
    return -W + u


# %% puct: left out c
def puct(N, W, P, c):
    Q = torch.where(N > 0, -W / N.clamp(min=1), 0.0)
    u = P * N.sum().clamp(min=1).sqrt() / (1 + N)
    return Q + u


# %% puct: let ΣN be 0 where nothing was visited: it counts as 1 there
def puct(N, W, P, c):
    Q = torch.where(N > 0, -W / N.clamp(min=1), 0.0)
    u = c * P * N.sum().sqrt() / (1 + N)
    return Q + u


# %% select_leaf: took the child's value for your own: it is that of the opponent, who moves there
def select_leaf(N, W, P, parent, c):
    path = [0]
    while True:
        children = (parent == path[-1]).nonzero()[:, 0]
        if len(children) == 0:
            return path
        n, w, p = N[children], W[children], P[children]
        score = w / n.clamp(min=1) + c * p * n.sum().clamp(min=1).sqrt() / (1 + n)
        path.append(int(children[score.argmax()]))


# %% select_leaf: ignored the prior
def select_leaf(N, W, P, parent, c):
    path = [0]
    while True:
        children = (parent == path[-1]).nonzero()[:, 0]
        if len(children) == 0:
            return path
        n, w = N[children], W[children]
        score = puct(n, w, torch.ones(len(n)), c)
        path.append(int(children[score.argmax()]))


# %% select_leaf: followed the most visited child, not the one with the largest score
def select_leaf(N, W, P, parent, c):
    path = [0]
    while True:
        children = (parent == path[-1]).nonzero()[:, 0]
        if len(children) == 0:
            return path
        n = N[children]
        score = n
        path.append(int(children[score.argmax()]))


# %% select_leaf: followed the best mean value: what is little visited is never explored
def select_leaf(N, W, P, parent, c):
    path = [0]
    while True:
        children = (parent == path[-1]).nonzero()[:, 0]
        if len(children) == 0:
            return path
        n, w = N[children], W[children]
        score = -w / n.clamp(min=1)
        path.append(int(children[score.argmax()]))


# %% select_leaf: went to children that were never visited first, as UCT does
def select_leaf(N, W, P, parent, c):
    path = [0]
    while True:
        children = (parent == path[-1]).nonzero()[:, 0]
        if len(children) == 0:
            return path
        n, w, p = N[children], W[children], P[children]
        score = puct(n, w, p, c)
        score[n == 0] = torch.inf
        path.append(int(children[score.argmax()]))


# %% select_leaf: stopped at a child of the root
def select_leaf(N, W, P, parent, c):
    children = (parent == 0).nonzero()[:, 0]
    if len(children) == 0:
        return [0]
    return [0, children[puct(N[children], W[children], P[children], c).argmax()].item()]


# %% select_leaf: left out the root
def select_leaf(N, W, P, parent, c):
    path, node = [], 0
    while True:
        children = (parent == node).nonzero()[:, 0]
        if len(children) == 0:
            return torch.tensor(path)
        n, w, p = N[children], W[children], P[children]
        score = puct(n, w, p, c)
        node = int(children[score.argmax()])
        path.append(node)


# %% select_leaf: left out the leaf
def select_leaf(N, W, P, parent, c):
    path = [0]
    while True:
        children = (parent == path[-1]).nonzero()[:, 0]
        if len(children) == 0:
            return torch.tensor(path[:-1])
        n, w, p = N[children], W[children], P[children]
        score = puct(n, w, p, c)
        path.append(int(children[score.argmax()]))


# %% select_leaf: returned the leaf alone, not the path to it
def select_leaf(N, W, P, parent, c):
    path = [0]
    while True:
        children = (parent == path[-1]).nonzero()[:, 0]
        if len(children) == 0:
            return path[-1]
        n, w, p = N[children], W[children], P[children]
        score = puct(n, w, p, c)
        path.append(int(children[score.argmax()]))


# %% select_leaf: returned the path from the leaf up
def select_leaf(N, W, P, parent, c):
    path = [0]
    while True:
        children = (parent == path[-1]).nonzero()[:, 0]
        if len(children) == 0:
            return path[::-1]
        n, w, p = N[children], W[children], P[children]
        score = puct(n, w, p, c)
        path.append(int(children[score.argmax()]))


# %% backup: took v for that of the player to move at the root
def backup(N, W, parent, leaf, v):
    N, W = N.clone(), W.clone()
    path = [leaf]
    while path[-1] != 0:
        path.append(int(parent[path[-1]]))
    for i in path[::-1]:
        N[i] += 1
        W[i] += v
        v = -v
    return N, W


# %% backup: did not turn the sign from level to level
def backup(N, W, parent, leaf, v):
    N, W = N.clone(), W.clone()
    while leaf != -1:
        N[leaf] += 1
        W[leaf] += v
        leaf = parent[leaf]
    return N, W


# %% backup: began with -v: v is the value for the player to move at the leaf
def backup(N, W, parent, leaf, v):
    N, W = N.clone(), W.clone()
    i = leaf
    while i != -1:
        v = -v
        N[i] += 1
        W[i] += v
        i = parent[i]
    return N, W


# %% backup: left out the root
def backup(N, W, parent, leaf, v):
    N, W = N.clone(), W.clone()
    i = leaf
    while i > 0:
        N[i] += 1
        W[i] += v
        i, v = parent[i], -v
    return N, W


# %% backup: left out the leaf
def backup(N, W, parent, leaf, v):
    N, W = N.clone(), W.clone()
    i, v = parent[leaf], -v
    while i >= 0:
        N[i] += 1
        W[i] += v
        i, v = parent[i], -v
    return N, W


# %% backup: wrote v over W instead of adding it
def backup(N, W, parent, leaf, v):
    N, W = N.clone(), W.clone()
    i = leaf
    while i >= 0:
        N[i] += 1
        W[i] = v
        i, v = parent[i], -v
    return N, W


# %% backup: stored the mean in W, not the sum
def backup(N, W, parent, leaf, v):
    N, W = N.clone(), W.clone()
    i = leaf
    while i >= 0:
        N[i] += 1
        W[i] = (W[i] + v) / N[i]
        i, v = parent[i], -v
    return N, W


# %% backup: changed every node before the leaf, not its ancestors alone
def backup(N, W, parent, leaf, v):
    N, W = N.clone(), W.clone()
    for i in range(leaf, -1, -1):
        N[i] += 1
        W[i] += v
        v = -v
    return N, W


# %% backup: left N as it was
def backup(N, W, parent, leaf, v):
    N, W = N.clone(), W.clone()
    i = leaf
    while i >= 0:
        W[i] += v
        i, v = parent[i], -v
    return N, W


# %% mcts: took the child's value for your own: it is that of the opponent, who moves there
def mcts(game, state, evaluate, simulations, c):
    N, W, P, parent = [0], [0.0], [1.0], [-1]
    states, moves, children = [state], [-1], [[]]
    for _ in range(simulations):
        i, path = 0, [0]
        while children[i]:
            total = max(1, sum(N[j] for j in children[i]))
            i = max(children[i], key=lambda j: (W[j] / N[j] if N[j] else 0) + c * P[j] * math.sqrt(total) / (1 + N[j]))
            path.append(i)
        v = game.outcome(states[i])
        if v is None:
            prior, v = evaluate(states[i])
            legal = game.moves(states[i])
            for move in legal:
                children[i].append(len(N))
                N.append(0)
                W.append(0.0)
                P.append((prior[move] / prior[legal].sum()).item())
                parent.append(i)
                states.append(game.play(states[i], move))
                moves.append(move)
                children.append([])
        for j in reversed(path):
            N[j] += 1
            W[j] += v
            v = -v
    visits = torch.zeros(9)
    for j in children[0]:
        visits[moves[j]] = N[j]
    return visits


# %% mcts: did not turn the sign from level to level
def mcts(game, state, evaluate, simulations, c):
    N, W, P, parent = [0], [0.0], [1.0], [-1]
    states, moves, children = [state], [-1], [[]]
    for _ in range(simulations):
        i, path = 0, [0]
        while children[i]:
            total = max(1, sum(N[j] for j in children[i]))
            i = max(children[i], key=lambda j: (-W[j] / N[j] if N[j] else 0) + c * P[j] * math.sqrt(total) / (1 + N[j]))
            path.append(i)
        v = game.outcome(states[i])
        if v is None:
            prior, v = evaluate(states[i])
            legal = game.moves(states[i])
            for move in legal:
                children[i].append(len(N))
                N.append(0)
                W.append(0.0)
                P.append((prior[move] / prior[legal].sum()).item())
                parent.append(i)
                states.append(game.play(states[i], move))
                moves.append(move)
                children.append([])
        for j in reversed(path):
            N[j] += 1
            W[j] += v
    visits = torch.zeros(9)
    for j in children[0]:
        visits[moves[j]] = N[j]
    return visits


# %% mcts: took a lost game for a won one: the value is that of the player to move
def mcts(game, state, evaluate, simulations, c):
    N, W, P, parent = [0], [0.0], [1.0], [-1]
    states, moves, children = [state], [-1], [[]]
    for _ in range(simulations):
        i, path = 0, [0]
        while children[i]:
            total = max(1, sum(N[j] for j in children[i]))
            i = max(children[i], key=lambda j: (-W[j] / N[j] if N[j] else 0) + c * P[j] * math.sqrt(total) / (1 + N[j]))
            path.append(i)
        v = game.outcome(states[i])
        if v is not None:
            v = -v
        else:
            prior, v = evaluate(states[i])
            legal = game.moves(states[i])
            for move in legal:
                children[i].append(len(N))
                N.append(0)
                W.append(0.0)
                P.append((prior[move] / prior[legal].sum()).item())
                parent.append(i)
                states.append(game.play(states[i], move))
                moves.append(move)
                children.append([])
        for j in reversed(path):
            N[j] += 1
            W[j] += v
            v = -v
    visits = torch.zeros(9)
    for j in children[0]:
        visits[moves[j]] = N[j]
    return visits


# %% mcts: expanded terminal states: asked the network where the rules know the outcome
def mcts(game, state, evaluate, simulations, c):
    N, W, P, parent = [0], [0.0], [1.0], [-1]
    states, moves, children = [state], [-1], [[]]
    for _ in range(simulations):
        i, path = 0, [0]
        while children[i]:
            total = max(1, sum(N[j] for j in children[i]))
            i = max(children[i], key=lambda j: (-W[j] / N[j] if N[j] else 0) + c * P[j] * math.sqrt(total) / (1 + N[j]))
            path.append(i)
        v = game.outcome(states[i])
        if not children[i]:
            prior, v = evaluate(states[i])
            legal = game.moves(states[i])
            for move in legal:
                children[i].append(len(N))
                N.append(0)
                W.append(0.0)
                P.append((prior[move] / prior[legal].sum()).item())
                parent.append(i)
                states.append(game.play(states[i], move))
                moves.append(move)
                children.append([])
        for j in reversed(path):
            N[j] += 1
            W[j] += v
            v = -v
    visits = torch.zeros(9)
    for j in children[0]:
        visits[moves[j]] = N[j]
    return visits


# %% mcts: ignored the prior
def mcts(game, state, evaluate, simulations, c):
    N, W, P, parent = [0], [0.0], [1.0], [-1]
    states, moves, children = [state], [-1], [[]]
    for _ in range(simulations):
        i, path = 0, [0]
        while children[i]:
            total = max(1, sum(N[j] for j in children[i]))
            i = max(children[i], key=lambda j: (-W[j] / N[j] if N[j] else 0) + c * P[j] * math.sqrt(total) / (1 + N[j]))
            path.append(i)
        v = game.outcome(states[i])
        if v is None:
            _, v = evaluate(states[i])
            legal = game.moves(states[i])
            for move in legal:
                children[i].append(len(N))
                N.append(0)
                W.append(0.0)
                P.append(1.0)
                parent.append(i)
                states.append(game.play(states[i], move))
                moves.append(move)
                children.append([])
        for j in reversed(path):
            N[j] += 1
            W[j] += v
            v = -v
    visits = torch.zeros(9)
    for j in children[0]:
        visits[moves[j]] = N[j]
    return visits


# %% mcts: spread the prior evenly
def mcts(game, state, evaluate, simulations, c):
    N, W, P, parent = [0], [0.0], [1.0], [-1]
    states, moves, children = [state], [-1], [[]]
    for _ in range(simulations):
        i, path = 0, [0]
        while children[i]:
            total = max(1, sum(N[j] for j in children[i]))
            i = max(children[i], key=lambda j: (-W[j] / N[j] if N[j] else 0) + c * P[j] * math.sqrt(total) / (1 + N[j]))
            path.append(i)
        v = game.outcome(states[i])
        if v is None:
            _, v = evaluate(states[i])
            legal = game.moves(states[i])
            for move in legal:
                children[i].append(len(N))
                N.append(0)
                W.append(0.0)
                P.append(1 / len(legal))
                parent.append(i)
                states.append(game.play(states[i], move))
                moves.append(move)
                children.append([])
        for j in reversed(path):
            N[j] += 1
            W[j] += v
            v = -v
    visits = torch.zeros(9)
    for j in children[0]:
        visits[moves[j]] = N[j]
    return visits


# %% mcts: did not make the prior of the legal moves sum to 1
def mcts(game, state, evaluate, simulations, c):
    N, W, P, parent = [0], [0.0], [1.0], [-1]
    states, moves, children = [state], [-1], [[]]
    for _ in range(simulations):
        i, path = 0, [0]
        while children[i]:
            total = max(1, sum(N[j] for j in children[i]))
            i = max(children[i], key=lambda j: (-W[j] / N[j] if N[j] else 0) + c * P[j] * math.sqrt(total) / (1 + N[j]))
            path.append(i)
        v = game.outcome(states[i])
        if v is None:
            prior, v = evaluate(states[i])
            legal = game.moves(states[i])
            for move in legal:
                children[i].append(len(N))
                N.append(0)
                W.append(0.0)
                P.append(prior[move].item())
                parent.append(i)
                states.append(game.play(states[i], move))
                moves.append(move)
                children.append([])
        for j in reversed(path):
            N[j] += 1
            W[j] += v
            v = -v
    visits = torch.zeros(9)
    for j in children[0]:
        visits[moves[j]] = N[j]
    return visits


# %% mcts: visited every child once before any twice, as UCT does
def mcts(game, state, evaluate, simulations, c):
    N, W, P, parent = [0], [0.0], [1.0], [-1]
    states, moves, children = [state], [-1], [[]]
    for _ in range(simulations):
        i, path = 0, [0]
        while children[i]:
            total = max(1, sum(N[j] for j in children[i]))
            i = max(
                children[i],
                key=lambda j: (-W[j] / N[j] if N[j] else math.inf) + c * P[j] * math.sqrt(total) / (1 + N[j]),
            )
            path.append(i)
        v = game.outcome(states[i])
        if v is None:
            prior, v = evaluate(states[i])
            legal = game.moves(states[i])
            for move in legal:
                children[i].append(len(N))
                N.append(0)
                W.append(0.0)
                P.append((prior[move] / prior[legal].sum()).item())
                parent.append(i)
                states.append(game.play(states[i], move))
                moves.append(move)
                children.append([])
        for j in reversed(path):
            N[j] += 1
            W[j] += v
            v = -v
    visits = torch.zeros(9)
    for j in children[0]:
        visits[moves[j]] = N[j]
    return visits


# %% mcts: expanded the root before the first simulation: one visit too many
def mcts(game, state, evaluate, simulations, c):
    N, W, P, parent = torch.zeros(1, dtype=torch.int64), torch.zeros(1), torch.ones(1), torch.tensor([-1])
    states, moves = [state], [-1]

    def expand(leaf):
        nonlocal N, W, P, parent, states, moves
        prior, v = evaluate(states[leaf])
        legal = game.moves(states[leaf])
        N = torch.cat([N, torch.zeros(len(legal), dtype=torch.int64)])
        W = torch.cat([W, torch.zeros(len(legal))])
        P = torch.cat([P, prior[legal] / prior[legal].sum()])
        parent = torch.cat([parent, torch.full((len(legal),), leaf)])
        states += [game.play(states[leaf], move) for move in legal]
        moves += legal
        return v

    expand(0)
    for _ in range(simulations):
        leaf = int(select_leaf(N, W, P, parent, c)[-1])
        v = game.outcome(states[leaf])
        if v is None:
            v = expand(leaf)
        N, W = backup(N, W, parent, leaf, v)
    visits = torch.zeros(game.MOVES)
    children = (parent == 0).nonzero()[:, 0]
    visits[[moves[i] for i in children]] = N[children].double()
    return visits


# %% visit_policy: ignored the temperature
def visit_policy(N, tau):
    return N / N.sum()


# %% visit_policy: raised to the power τ, not 1/τ
def visit_policy(N, tau):
    power = N.double() ** tau
    return power / power.sum()


# %% visit_policy: took softmax(N / τ)
def visit_policy(N, tau):
    if tau == 0:
        best = (N.max() == N).double()
        return best / best.sum()
    return torch.softmax(N / tau, dim=0)


# %% visit_policy: did not divide by the sum
def visit_policy(N, tau):
    if tau == 0:
        return (N.max() == N).double()
    return N.double() ** (1 / tau)


# %% visit_policy: gave all to one of several most visited moves at τ = 0
def visit_policy(N, tau):
    if tau == 0:
        pi = torch.zeros(len(N))
        pi[N.argmax()] = 1
        return pi
    share = N / N.max()
    return share ** (1 / tau) / (share ** (1 / tau)).sum()


# %% visit_policy: overflowed at a small τ
def visit_policy(N, tau):
    if tau == 0:
        best = (N.max() == N).double()
        return best / best.sum()
    power = N.double() ** (1 / tau)
    return power / power.sum()


# %% visit_policy: returned nan at τ = 0
def visit_policy(N, tau):
    share = torch.log(N / N.max()) / tau
    return torch.softmax(share, dim=0)


# %% symmetries: turned the board, but not its policy
def symmetries(board, pi):
    n = len(board)
    boards, pis = [], []
    for flipped in (False, True):
        for k in range(4):
            x, y = board, pi.reshape(n, n)
            if flipped:
                x, y = x.fliplr(), y.fliplr()
            boards.append(torch.rot90(x, k))
            pis.append(pi)
    return torch.stack(boards), torch.stack(pis)


# %% symmetries: turned the policy the other way than the board
def symmetries(board, pi):
    n = len(board)
    boards, pis = [], []
    for flipped in (False, True):
        for k in range(4):
            x, y = board, pi.reshape(n, n)
            if flipped:
                x, y = x.fliplr(), y.fliplr()
            boards.append(torch.rot90(x, k))
            pis.append(torch.rot90(y, -k).flatten())
    return torch.stack(boards), torch.stack(pis)


# %% symmetries: did not mirror the policy
def symmetries(board, pi):
    n = len(board)
    boards, pis = [], []
    for flipped in (False, True):
        for k in range(4):
            x, y = board, pi.reshape(n, n)
            if flipped:
                x = x.fliplr()
            boards.append(torch.rot90(x, k))
            pis.append(torch.rot90(y, k).flatten())
    return torch.stack(boards), torch.stack(pis)


# %% symmetries: left out the mirrored ones
def symmetries(board, pi):
    n = len(board)
    boards, pis = [], []
    for flipped in (False,):
        for k in range(4):
            x, y = board, pi.reshape(n, n)
            if flipped:
                x, y = x.fliplr(), y.fliplr()
            boards.append(torch.rot90(x, k))
            pis.append(torch.rot90(y, k).flatten())
    return torch.stack(boards), torch.stack(pis)


# %% symmetries: turned with the clock, not against it
def symmetries(board, pi):
    n = len(board)
    boards, pis = [], []
    for flipped in (False, True):
        for k in range(4):
            x, y = board, pi.reshape(n, n)
            if flipped:
                x, y = x.fliplr(), y.fliplr()
            boards.append(torch.rot90(x, k, (1, 0)))
            pis.append(torch.rot90(y, k, (1, 0)).flatten())
    return torch.stack(boards), torch.stack(pis)


# %% symmetries: mirrored after the turn, not before it
def symmetries(board, pi):
    square = pi.reshape(board.shape)
    boards = [torch.rot90(board, k) for k in range(4)]
    squares = [torch.rot90(square, k) for k in range(4)]
    boards += [x.fliplr() for x in boards]
    squares += [x.fliplr() for x in squares]
    return torch.stack(boards), torch.stack(squares).flatten(1)


# %% symmetries: mirrored top and bottom, not left and right
def symmetries(board, pi):
    n = len(board)
    boards, pis = [], []
    for flipped in (False, True):
        for k in range(4):
            x, y = board, pi.reshape(n, n)
            if flipped:
                x, y = x.flip(0), y.flip(0)
            boards.append(torch.rot90(x, k))
            pis.append(torch.rot90(y, k).flatten())
    return torch.stack(boards), torch.stack(pis)


# %% symmetries: returned the policies as boards
def symmetries(board, pi):
    n = len(board)
    boards, pis = [], []
    for flipped in (False, True):
        for k in range(4):
            x, y = board, pi.reshape(n, n)
            if flipped:
                x, y = x.fliplr(), y.fliplr()
            boards.append(torch.rot90(x, k))
            pis.append(torch.rot90(y, k))
    return torch.stack(boards), torch.stack(pis)


# %% policy_value_gradient: put the L2 penalty on the biases, too
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    p = torch.softmax(H @ W_p.T + b_p, dim=1)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    penalty = lam * ((W**2).sum() + (W_p**2).sum() + (W_v**2).sum())
    penalty += lam * ((b**2).sum() + (b_p**2).sum() + (b_v**2).sum())
    loss = ((z - v) ** 2 - (Pi * p.log()).sum(dim=1)).mean() + penalty
    G_p = (p - Pi) / m
    G_v = (2 * (v - z) * (1 - v**2) / m)[:, None]
    G = (G_p @ W_p + G_v @ W_v) * (1 - H**2)
    G_W, G_b = G.T @ X + 2 * lam * W, G.sum(dim=0) + 2 * lam * b
    G_W_p, G_b_p = G_p.T @ H + 2 * lam * W_p, G_p.sum(dim=0) + 2 * lam * b_p
    G_W_v, G_b_v = G_v.T @ H + 2 * lam * W_v, G_v.sum(dim=0) + 2 * lam * b_v
    return loss, G_W, G_b, G_W_p, G_b_p, G_W_v, G_b_v


# %% policy_value_gradient: left out the L2 penalty
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    p = torch.softmax(H @ W_p.T + b_p, dim=1)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    loss = ((z - v) ** 2 - (Pi * p.log()).sum(dim=1)).mean()
    G_p = (p - Pi) / m
    G_v = (2 * (v - z) * (1 - v**2) / m)[:, None]
    G = (G_p @ W_p + G_v @ W_v) * (1 - H**2)
    G_W, G_b = G.T @ X, G.sum(dim=0)
    G_W_p, G_b_p = G_p.T @ H, G_p.sum(dim=0)
    G_W_v, G_b_v = G_v.T @ H, G_v.sum(dim=0)
    return loss, G_W, G_b, G_W_p, G_b_p, G_W_v, G_b_v


# %% policy_value_gradient: took λ W for the gradient of λ ‖W‖²
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    p = torch.softmax(H @ W_p.T + b_p, dim=1)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    penalty = lam * ((W**2).sum() + (W_p**2).sum() + (W_v**2).sum())
    loss = ((z - v) ** 2 - (Pi * p.log()).sum(dim=1)).mean() + penalty
    G_p = (p - Pi) / m
    G_v = (2 * (v - z) * (1 - v**2) / m)[:, None]
    G = (G_p @ W_p + G_v @ W_v) * (1 - H**2)
    G_W, G_b = G.T @ X + lam * W, G.sum(dim=0)
    G_W_p, G_b_p = G_p.T @ H + lam * W_p, G_p.sum(dim=0)
    G_W_v, G_b_v = G_v.T @ H + lam * W_v, G_v.sum(dim=0)
    return loss, G_W, G_b, G_W_p, G_b_p, G_W_v, G_b_v


# %% policy_value_gradient: divided the L2 penalty by m: it stands outside the mean
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    p = torch.softmax(H @ W_p.T + b_p, dim=1)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    penalty = lam / m * ((W**2).sum() + (W_p**2).sum() + (W_v**2).sum())
    loss = ((z - v) ** 2 - (Pi * p.log()).sum(dim=1)).mean() + penalty
    G_p = (p - Pi) / m
    G_v = (2 * (v - z) * (1 - v**2) / m)[:, None]
    G = (G_p @ W_p + G_v @ W_v) * (1 - H**2)
    G_W, G_b = G.T @ X + 2 * lam / m * W, G.sum(dim=0)
    G_W_p, G_b_p = G_p.T @ H + 2 * lam / m * W_p, G_p.sum(dim=0)
    G_W_v, G_b_v = G_v.T @ H + 2 * lam / m * W_v, G_v.sum(dim=0)
    return loss, G_W, G_b, G_W_p, G_b_p, G_W_v, G_b_v


# %% policy_value_gradient: summed over the batch instead of averaging
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    H = torch.tanh(X @ W.T + b)
    p = torch.softmax(H @ W_p.T + b_p, dim=1)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    penalty = lam * ((W**2).sum() + (W_p**2).sum() + (W_v**2).sum())
    loss = ((z - v) ** 2 - (Pi * p.log()).sum(dim=1)).sum() + penalty
    G_p = p - Pi
    G_v = (2 * (v - z) * (1 - v**2))[:, None]
    G = (G_p @ W_p + G_v @ W_v) * (1 - H**2)
    G_W, G_b = G.T @ X + 2 * lam * W, G.sum(dim=0)
    G_W_p, G_b_p = G_p.T @ H + 2 * lam * W_p, G_p.sum(dim=0)
    G_W_v, G_b_v = G_v.T @ H + 2 * lam * W_v, G_v.sum(dim=0)
    return loss, G_W, G_b, G_W_p, G_b_p, G_W_v, G_b_v


# %% policy_value_gradient: left out the slope of the value's tanh
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    p = torch.softmax(H @ W_p.T + b_p, dim=1)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    penalty = lam * ((W**2).sum() + (W_p**2).sum() + (W_v**2).sum())
    loss = ((z - v) ** 2 - (Pi * p.log()).sum(dim=1)).mean() + penalty
    G_p = (p - Pi) / m
    G_v = (2 * (v - z) / m)[:, None]
    G = (G_p @ W_p + G_v @ W_v) * (1 - H**2)
    G_W, G_b = G.T @ X + 2 * lam * W, G.sum(dim=0)
    G_W_p, G_b_p = G_p.T @ H + 2 * lam * W_p, G_p.sum(dim=0)
    G_W_v, G_b_v = G_v.T @ H + 2 * lam * W_v, G_v.sum(dim=0)
    return loss, G_W, G_b, G_W_p, G_b_p, G_W_v, G_b_v


# %% policy_value_gradient: left out the slope of the hidden tanh
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    p = torch.softmax(H @ W_p.T + b_p, dim=1)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    penalty = lam * ((W**2).sum() + (W_p**2).sum() + (W_v**2).sum())
    loss = ((z - v) ** 2 - (Pi * p.log()).sum(dim=1)).mean() + penalty
    G_p = (p - Pi) / m
    G_v = (2 * (v - z) * (1 - v**2) / m)[:, None]
    G = G_p @ W_p + G_v @ W_v
    G_W, G_b = G.T @ X + 2 * lam * W, G.sum(dim=0)
    G_W_p, G_b_p = G_p.T @ H + 2 * lam * W_p, G_p.sum(dim=0)
    G_W_v, G_b_v = G_v.T @ H + 2 * lam * W_v, G_v.sum(dim=0)
    return loss, G_W, G_b, G_W_p, G_b_p, G_W_v, G_b_v


# %% policy_value_gradient: left out the 2 of the squared error
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    p = torch.softmax(H @ W_p.T + b_p, dim=1)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    penalty = lam * ((W**2).sum() + (W_p**2).sum() + (W_v**2).sum())
    loss = ((z - v) ** 2 - (Pi * p.log()).sum(dim=1)).mean() + penalty
    G_p = (p - Pi) / m
    G_v = ((v - z) * (1 - v**2) / m)[:, None]
    G = (G_p @ W_p + G_v @ W_v) * (1 - H**2)
    G_W, G_b = G.T @ X + 2 * lam * W, G.sum(dim=0)
    G_W_p, G_b_p = G_p.T @ H + 2 * lam * W_p, G_p.sum(dim=0)
    G_W_v, G_b_v = G_v.T @ H + 2 * lam * W_v, G_v.sum(dim=0)
    return loss, G_W, G_b, G_W_p, G_b_p, G_W_v, G_b_v


# %% policy_value_gradient: let only the policy's gradient into the hidden layer
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    p = torch.softmax(H @ W_p.T + b_p, dim=1)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    penalty = lam * ((W**2).sum() + (W_p**2).sum() + (W_v**2).sum())
    loss = ((z - v) ** 2 - (Pi * p.log()).sum(dim=1)).mean() + penalty
    G_p = (p - Pi) / m
    G_v = (2 * (v - z) * (1 - v**2) / m)[:, None]
    G = (G_p @ W_p) * (1 - H**2)
    G_W, G_b = G.T @ X + 2 * lam * W, G.sum(dim=0)
    G_W_p, G_b_p = G_p.T @ H + 2 * lam * W_p, G_p.sum(dim=0)
    G_W_v, G_b_v = G_v.T @ H + 2 * lam * W_v, G_v.sum(dim=0)
    return loss, G_W, G_b, G_W_p, G_b_p, G_W_v, G_b_v


# %% policy_value_gradient: let only the value's gradient into the hidden layer
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    p = torch.softmax(H @ W_p.T + b_p, dim=1)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    penalty = lam * ((W**2).sum() + (W_p**2).sum() + (W_v**2).sum())
    loss = ((z - v) ** 2 - (Pi * p.log()).sum(dim=1)).mean() + penalty
    G_p = (p - Pi) / m
    G_v = (2 * (v - z) * (1 - v**2) / m)[:, None]
    G = (G_v @ W_v) * (1 - H**2)
    G_W, G_b = G.T @ X + 2 * lam * W, G.sum(dim=0)
    G_W_p, G_b_p = G_p.T @ H + 2 * lam * W_p, G_p.sum(dim=0)
    G_W_v, G_b_v = G_v.T @ H + 2 * lam * W_v, G_v.sum(dim=0)
    return loss, G_W, G_b, G_W_p, G_b_p, G_W_v, G_b_v


# %% policy_value_gradient: took the most likely move of π for the target, not the distribution
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    m, y = len(X), Pi.argmax(dim=1)
    H = torch.tanh(X @ W.T + b)
    p = torch.softmax(H @ W_p.T + b_p, dim=1)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    penalty = lam * ((W**2).sum() + (W_p**2).sum() + (W_v**2).sum())
    loss = ((z - v) ** 2).mean() - p[torch.arange(m), y].log().mean() + penalty
    G_p = p / m
    G_p[torch.arange(m), y] -= 1 / m
    G_v = (2 * (v - z) * (1 - v**2) / m)[:, None]
    G = (G_p @ W_p + G_v @ W_v) * (1 - H**2)
    G_W, G_b = G.T @ X + 2 * lam * W, G.sum(dim=0)
    G_W_p, G_b_p = G_p.T @ H + 2 * lam * W_p, G_p.sum(dim=0)
    G_W_v, G_b_v = G_v.T @ H + 2 * lam * W_v, G_v.sum(dim=0)
    return loss, G_W, G_b, G_W_p, G_b_p, G_W_v, G_b_v


# %% policy_value_gradient: took the outcome of the wrong player: v is compared with -z
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    p = torch.softmax(H @ W_p.T + b_p, dim=1)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    penalty = lam * ((W**2).sum() + (W_p**2).sum() + (W_v**2).sum())
    loss = ((z + v) ** 2 - (Pi * p.log()).sum(dim=1)).mean() + penalty
    G_p = (p - Pi) / m
    G_v = (2 * (v + z) * (1 - v**2) / m)[:, None]
    G = (G_p @ W_p + G_v @ W_v) * (1 - H**2)
    G_W, G_b = G.T @ X + 2 * lam * W, G.sum(dim=0)
    G_W_p, G_b_p = G_p.T @ H + 2 * lam * W_p, G_p.sum(dim=0)
    G_W_v, G_b_v = G_v.T @ H + 2 * lam * W_v, G_v.sum(dim=0)
    return loss, G_W, G_b, G_W_p, G_b_p, G_W_v, G_b_v


# %% policy_value_gradient: returned the weight gradients transposed
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    p = torch.softmax(H @ W_p.T + b_p, dim=1)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    penalty = lam * ((W**2).sum() + (W_p**2).sum() + (W_v**2).sum())
    loss = ((z - v) ** 2 - (Pi * p.log()).sum(dim=1)).mean() + penalty
    G_p = (p - Pi) / m
    G_v = (2 * (v - z) * (1 - v**2) / m)[:, None]
    G = (G_p @ W_p + G_v @ W_v) * (1 - H**2)
    G_W, G_b = X.T @ G + 2 * lam * W.T, G.sum(dim=0)
    G_W_p, G_b_p = H.T @ G_p + 2 * lam * W_p.T, G_p.sum(dim=0)
    G_W_v, G_b_v = H.T @ G_v + 2 * lam * W_v.T, G_v.sum(dim=0)
    return loss, G_W, G_b, G_W_p, G_b_p, G_W_v, G_b_v


# %% reinforce_gradient: took the baseline's gradient, too: v is a constant here
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    logits = H @ W_p.T + b_p
    logits[~legal] = -torch.inf
    p = logits.softmax(dim=1)
    one = F.one_hot(a, len(b_p))
    G_p = (z - v)[:, None] * (p - one) / m
    log_p = p[torch.arange(m), a].log()
    G_v = (log_p * (1 - v**2) / m)[:, None]
    G = (G_p @ W_p + G_v @ W_v) * (1 - H**2)
    return G.T @ X, G.sum(dim=0), G_p.T @ H, G_p.sum(dim=0)


# %% reinforce_gradient: left out the baseline
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    logits = H @ W_p.T + b_p
    logits[~legal] = -torch.inf
    p = logits.softmax(dim=1)
    one = F.one_hot(a, len(b_p))
    G_p = z[:, None] * (p - one) / m
    G = (G_p @ W_p) * (1 - H**2)
    return G.T @ X, G.sum(dim=0), G_p.T @ H, G_p.sum(dim=0)


# %% reinforce_gradient: took the baseline alone for the return
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    logits = H @ W_p.T + b_p
    logits[~legal] = -torch.inf
    p = logits.softmax(dim=1)
    one = F.one_hot(a, len(b_p))
    G_p = v[:, None] * (p - one) / m
    G = (G_p @ W_p) * (1 - H**2)
    return G.T @ X, G.sum(dim=0), G_p.T @ H, G_p.sum(dim=0)


# %% reinforce_gradient: added the baseline
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    logits = H @ W_p.T + b_p
    logits[~legal] = -torch.inf
    p = logits.softmax(dim=1)
    one = F.one_hot(a, len(b_p))
    G_p = (z + v)[:, None] * (p - one) / m
    G = (G_p @ W_p) * (1 - H**2)
    return G.T @ X, G.sum(dim=0), G_p.T @ H, G_p.sum(dim=0)


# %% reinforce_gradient: returned the gradient that goes uphill: that of the loss has the other sign
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    logits = H @ W_p.T + b_p
    logits[~legal] = -torch.inf
    p = logits.softmax(dim=1)
    one = F.one_hot(a, len(b_p))
    G_p = (z - v)[:, None] * (one - p) / m
    G = (G_p @ W_p) * (1 - H**2)
    return G.T @ X, G.sum(dim=0), G_p.T @ H, G_p.sum(dim=0)


# %% reinforce_gradient: let moves that are not legal into the softmax
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    logits = H @ W_p.T + b_p
    p = logits.softmax(dim=1)
    one = F.one_hot(a, len(b_p))
    G_p = (z - v)[:, None] * (p - one) / m
    G = (G_p @ W_p) * (1 - H**2)
    return G.T @ X, G.sum(dim=0), G_p.T @ H, G_p.sum(dim=0)


# %% reinforce_gradient: took the probability of the move, not its logarithm
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    logits = H @ W_p.T + b_p
    logits[~legal] = -torch.inf
    p = logits.softmax(dim=1)
    one = F.one_hot(a, len(b_p))
    G_p = ((z - v) * p[torch.arange(m), a])[:, None] * (p - one) / m
    G = (G_p @ W_p) * (1 - H**2)
    return G.T @ X, G.sum(dim=0), G_p.T @ H, G_p.sum(dim=0)


# %% reinforce_gradient: summed over the moves instead of averaging
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    H = torch.tanh(X @ W.T + b)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    logits = H @ W_p.T + b_p
    logits[~legal] = -torch.inf
    p = logits.softmax(dim=1)
    one = F.one_hot(a, len(b_p))
    G_p = (z - v)[:, None] * (p - one)
    G = (G_p @ W_p) * (1 - H**2)
    return G.T @ X, G.sum(dim=0), G_p.T @ H, G_p.sum(dim=0)


# %% reinforce_gradient: left out the move that was played: only p, not p - 1[a]
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    logits = H @ W_p.T + b_p
    logits[~legal] = -torch.inf
    p = logits.softmax(dim=1)
    G_p = (z - v)[:, None] * p / m
    G = (G_p @ W_p) * (1 - H**2)
    return G.T @ X, G.sum(dim=0), G_p.T @ H, G_p.sum(dim=0)


# %% reinforce_gradient: left out the slope of the hidden tanh
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    logits = H @ W_p.T + b_p
    logits[~legal] = -torch.inf
    p = logits.softmax(dim=1)
    one = F.one_hot(a, len(b_p))
    G_p = (z - v)[:, None] * (p - one) / m
    G = G_p @ W_p
    return G.T @ X, G.sum(dim=0), G_p.T @ H, G_p.sum(dim=0)


# %% reinforce_gradient: returned the weight gradients transposed
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    logits = H @ W_p.T + b_p
    logits[~legal] = -torch.inf
    p = logits.softmax(dim=1)
    one = F.one_hot(a, len(b_p))
    G_p = (z - v)[:, None] * (p - one) / m
    G = (G_p @ W_p) * (1 - H**2)
    return X.T @ G, G.sum(dim=0), H.T @ G_p, G_p.sum(dim=0)
