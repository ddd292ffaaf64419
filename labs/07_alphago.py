# %% [markdown]
# # Lab 7: AlphaGo in small
#
# CMU 15-780, "Deep Learning", slide "Artificial intelligence: Google's AlphaGo beats Go master Lee Se-dol"
#
# The lecture begins with AlphaGo (Silver et al., 2016): a network that names good moves, one that says who wins, and a
# tree search that both of them guide. You write all three, on a board of nine squares: the search, the networks'
# gradients by hand, and at the end a player that has learned from records, looks ahead, and does not lose. About three
# hours, a laptop, no GPU, no network.
#
# * **Write** between the two marker lines that begin with `###` (leave them in), in place of the
#   `raise NotImplementedError`. You may add functions and cells of your own.
# * **Try** it on numbers small enough to follow on paper; the text says what to expect.
# * **Check** it: `lab.check(f)` draws inputs, and compares with autograd or with a reference. Where they differ it says
#   which output, where, and, for many common mistakes, why. `lab.replay(…)`, its last line, gives you that case's
#   inputs. The grader asks the same questions with other numbers and shapes.
# * Cells that need what you have not written say so and go on: *Run All* works from the first minute.
#
# ## The lab's table
#
# | function | arguments | returns |
# |---|---|---|
# | `puct` | `N (k,)`, `W (k,)`, `P (k,)`, `c` | `scores (k,)` |
# | `select_leaf` | `N (n,)`, `W (n,)`, `P (n,)`, `parent (n,)`, `c` | `path`, from 0 to a leaf |
# | `backup` | `N (n,)`, `W (n,)`, `parent (n,)`, `leaf`, `v` | `N (n,)`, `W (n,)`, new |
# | `mcts` | `game`, `state`, `evaluate`, `simulations`, `c` | `visits (9,)` |
# | `visit_policy` | `N (k,)`, `tau` ≥ 0 | `pi (k,)` |
# | `choose_move` | as `mcts` | a move, an integer |
# | `symmetries` | `board (n, n)`, `pi (n²,)` | `boards (8, n, n)`, `pis (8, n²)` |
# | `policy_value_gradient` | `X (m, n)`, `Pi (m, A)`, `z (m,)`, the network, `lam` | `loss`, six gradients |
# | `reinforce_gradient` | `X`, `legal (m, A)`, `a (m,)`, `z`, the network | `G_W`, `G_b`, `G_W_p`, `G_b_p` |
#
# The network is `W (k, n)`, `b (k,)`, `W_p (A, k)`, `b_p (A,)`, `W_v (1, k)`, `b_v (1,)`, and a gradient has the shape
# of what it belongs to. In the two gradients autograd is out of reach by any path; all else is allowed.
#
# **Rules.**
#
# * **A value is that of the player to move**: 1 he wins, 0 a draw, -1 he loses. So is `v` of a position, and so is
#   every value that goes into $W$: $W_i$ is a sum of values *for the player to move at node i*, who is the opponent of
#   the one who chose to go there.
# * **The tree is four arrays** with one entry a node: visits $N$, the sum of values $W$, the prior $P$ of the move that
#   leads to the node, and `parent`, the number of the node above. Node 0 is the root, and `parent[0]` is -1. A node
#   without children is a leaf.
# * $Q$ of a child that was never visited is 0. $\sqrt{\Sigma N}$ is taken over the children of one node; **where none
#   of them was visited, $\Sigma N$ counts as 1**, so that the prior decides. Of equal scores the first wins.
# * A loss is a **mean** over the $m$ rows. **The L2 penalty is on the weights, not on the biases**, and stands outside
#   the mean.
# * A function returns new tensors and leaves its inputs as they were.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F

from dl780 import Lab
from dl780.rl import tictactoe

lab = Lab("alphago")
torch.set_default_dtype(torch.float64)  # twice the digits of float32: a wrong gradient cannot pass for rounding

# %% [markdown]
# What the figures below use. Run the cell; there is no need to read it.

# %%
from base64 import b64encode
from contextlib import contextmanager
from functools import partial
from html import escape
from io import BytesIO

from IPython.display import HTML, display

torch.set_num_threads(1)
torch.set_printoptions(precision=4, sci_mode=False, linewidth=100)
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False})


@contextmanager
def when_written():
    """Run a block; where it calls a question that is not written yet, say which one instead of a traceback."""
    try:
        yield
    except NotImplementedError as question:
        print(f"This cell waits for your `{question}`.")
    finally:
        plt.close("all")


def describe(figure, text):
    """Show a figure, on white also in a dark notebook, with the text that a screen reader reads in its place."""
    png = BytesIO()
    figure.savefig(png, dpi=110, bbox_inches="tight", facecolor="white")
    plt.close(figure)
    source = f"data:image/png;base64,{b64encode(png.getvalue()).decode()}"
    display(HTML(f'<img src="{source}" alt="{escape(text)}" style="max-width:100%">'))


def draw_board(axes, state, shares, title):
    """Draw a state, with a share of each square as a shade and a number."""
    squares = np.asarray(shares).reshape(3, 3)
    axes.imshow(squares, cmap="Blues", vmin=0, vmax=1)
    for ((i, j), share), sign in zip(np.ndenumerate(squares), tictactoe.show(state).split()):
        text, size = (f"{share:.2f}", 9) if sign == "·" else (sign, 18)
        axes.text(j, i, text, ha="center", va="center", size=size, color="white" if share > 0.6 else "0.2")
    axes.set_title(title, fontsize=10)
    axes.set(xticks=[0.5, 1.5], yticks=[0.5, 1.5], xticklabels=[], yticklabels=[])
    axes.tick_params(length=0)
    axes.spines[:].set(visible=True, color="0.6")
    axes.grid(color="0.6")


# %% [markdown]
# ## 1 A game, and who is to move
#
# The rules are handed to you, as a module: `dl780.rl.tictactoe` is fifty lines, and worth reading. A *state* is the
# board as the player to move sees it: nine numbers, row by row, 1 for his own marks and -1 for the other's. He moves,
# and `play` turns the board around. So there is no "player 1" anywhere.
#
# | | |
# |---|---|
# | `game.START` | the empty board |
# | `game.MOVES` | 9, how many moves there are at all; a move is the number of a square |
# | `game.moves(state)` | the legal ones; none where the game is over |
# | `game.play(state, move)` | the state after it, *as the opponent sees it* |
# | `game.outcome(state)` | `None` while the game goes on; else the value: -1 lost, 0 drawn |

# %%
state = tictactoe.START
for move in (4, 1, 0, 8, 3):
    state = tictactoe.play(state, move)
print(tictactoe.show(state))
print(state, "outcome", tictactoe.outcome(state))
state = tictactoe.play(tictactoe.play(state, 2), 6)
print(tictactoe.show(state))
print(state, "outcome", tictactoe.outcome(state))

# %% [markdown]
# ```
# X O ·
# X X ·
# · · O
# (-1, 1, 0, -1, -1, 0, 0, 0, 1) outcome None
# X O O
# X X ·
# X · O
# (-1, 1, 1, -1, -1, 0, -1, 0, 1) outcome -1
# ```
#
# O is to move in both, so O's marks are the 1s. In the second the game is over, and *O has lost*. Whoever is to move at
# the end has never won: the other one moved last.
#
# Nine squares are few enough to look at every game. `tictactoe.solve` does, and finds a draw; its
# `perfect_moves(state)` are those that keep what there is. You will need neither: a search that reads ahead where it
# matters, and no table of all positions, is what Go needs. The perfect player is your opponent.

# %%
print("value of the empty board under perfect play:", tictactoe.solve(tictactoe.START))
print("perfect replies to a corner:", tictactoe.perfect_moves(tictactoe.play(tictactoe.START, 0)))

# %% [markdown]
# ## 2 Search
#
# A simulation walks down the tree to a leaf, asks the network what it thinks of it, hangs the leaf's moves below, and
# carries the value back up. Ten thousand of them a move, and Lee Se-dol lost.

# %% [markdown] tags=["puct"]
# ### 2.1 `puct`
#
# At a node with children $i$, go where this is largest:
#
# $$\text{score}_i = Q_i + c\, P_i\, \frac{\sqrt{\Sigma_j N_j}}{1 + N_i}, \qquad Q_i = -\frac{W_i}{N_i}.$$
#
# The second part is large for moves with a large prior and few visits: it is what AlphaGo calls $u$. The first is what
# the visits have shown so far. Mind its sign: $W_i$ holds values for the player who moves *at the child*, and that is
# your opponent. $Q_i$ is 0 where $N_i$ is, and $\Sigma N$ counts as 1 where nothing was visited.


# %%
def puct(N, W, P, c):
    """The scores of the children of one node.

    N  (k,)  how often each was visited, integers
    W  (k,)  the sum of the values of these visits, each for the player to move at the child
    P  (k,)  the prior of each;  c  how much exploration counts
    Returns scores (k,), for the player who chooses among the children.
    """
    ### BEGIN SOLUTION
    Q = -W / N.clamp(min=1)
    return Q + c * P * N.sum().clamp(min=1).sqrt() / (1 + N)
    ### END SOLUTION


# %%
lab.show(puct, torch.tensor([3, 0, 1]), torch.tensor([1.5, 0.0, -1.0]), torch.tensor([0.5, 0.3, 0.2]), 2.0)

# %% [markdown]
# Four visits, so $\sqrt{\Sigma N} = 2$. The first child is good for the opponent, $Q = -0.5$, and $u = 2 \cdot 0.5
# \cdot 2 / 4 = 0.5$. The second is not known yet. The third has lost for the opponent once, so it is good for you:
#
# ```
# scores = tensor([0.0000, 1.2000, 1.4000])
# ```

# %%
lab.check(puct).points

# %% [markdown] tags=["why_prior"]
# **Question.** There are some 250 moves in a position of Go, and 10,000 simulations. What would happen if every child
# had to be visited once before any was visited twice (as in UCT, where an unvisited child's score is infinite)? And
# what does the prior cost when it is wrong: can a move with a prior of 0.001 still be found?
#
# *Your answer:*

# %% [markdown] tags=["select_leaf"]
# ### 2.2 `select_leaf`
#
# From the root down, always to the child with the largest score, until a node has no children. The children of node $i$
# are the places where `parent` is $i$; each step has its own $\Sigma N$, over these children alone. Return the whole
# way, the root and the leaf included.


# %%
def select_leaf(N, W, P, parent, c):
    """The way from the root of a tree to the leaf that the scores lead to.

    N, W, P  (n,)  visits, sums of values and priors, an entry for each node
    parent   (n,)  the number of the node above, -1 for node 0, the root
    c        how much exploration counts, for puct
    Returns path, the numbers of the nodes from 0 to a leaf, a tensor or a list.
    """
    ### BEGIN SOLUTION
    path = [0]
    while len(children := (parent == path[-1]).nonzero()[:, 0]):
        scores = puct(N[children], W[children], P[children], c)
        path.append(children[scores.argmax()].item())
    return path
    ### END SOLUTION


# %%
parent = torch.tensor([-1, 0, 0, 0, 2, 2])
N = torch.tensor([6, 3, 2, 0, 1, 0])
W = torch.tensor([-0.3, 1.5, -1.0, 0.0, 0.9, 0.0])
P = torch.tensor([1.0, 0.5, 0.3, 0.2, 0.6, 0.4])
lab.show(select_leaf, N, W, P, parent, 1.0)

# %% [markdown]
# At the root ($\Sigma N = 5$) the scores of the nodes 1, 2, 3 are -0.22, 0.72 and 0.45. At node 2 the score of node 4,
# which was good for its player, is -0.6, and of node 5, never visited, 0.4:
#
# ```
# path = [0, 2, 5]
# ```

# %%
lab.check(select_leaf).points

# %% [markdown] tags=["backup"]
# ### 2.3 `backup`
#
# The leaf was worth $v$, for the player to move there. Each node on the way gets one visit, and the value *for its own
# player to move*: $v$ at the leaf, $-v$ one above, $v$ again two above.
#
# $$N_i \leftarrow N_i + 1, \qquad W_i \leftarrow W_i + (-1)^{h} v, \qquad h \text{ steps above the leaf}.$$


# %%
def backup(N, W, parent, leaf, v):
    """One more visit on the way from a leaf to the root.

    N, W    (n,)  visits and sums of values
    parent  (n,)  the number of the node above, -1 for node 0, the root
    leaf    the number of a node;  v  its value, for the player to move there
    Returns the new N and W, both (n,).
    """
    ### BEGIN SOLUTION
    N, W, i = N.clone(), W.clone(), leaf
    while i >= 0:
        N[i] += 1
        W[i] += v
        i, v = int(parent[i]), -v
    return N, W
    ### END SOLUTION


# %%
lab.show(backup, torch.tensor([6, 3, 2, 0, 1, 0]), torch.zeros(6), torch.tensor([-1, 0, 0, 0, 2, 2]), 5, 0.5)

# %% [markdown]
# ```
# N = tensor([7, 3, 3, 0, 1, 1])
# W = tensor([ 0.5000,  0.0000, -0.5000,  0.0000,  0.0000,  0.5000])
# ```
#
# Node 5 and the root belong to one player, node 2 to the other.

# %%
lab.check(backup).points

# %% [markdown] tags=["why_minus"]
# **Question.** The sign is turned in two places: in `puct`, and from level to level in `backup`. A friend leaves out
# both, "since they cancel". Do they? Say what his search looks for in a position where *he* can win at once, and in one
# where his *opponent* threatens to.
#
# *Your answer:*

# %% [markdown] tags=["mcts"]
# ### 2.4 `mcts`
#
# Now the search. Begin with a tree of the root alone; then, `simulations` times:
#
# 1. `path = select_leaf(…)`.
# 2. Is the game over at the leaf? Then $v$ is `game.outcome(…)`: the rules know, nobody is asked, and the leaf gets no
#    children. (It will be reached again, and counted again.)
# 3. Else `P, v = evaluate(state)`: a prior for *all* nine moves, `P (9,)`, and the value for the player to move. Append
#    a child for each legal move, in the order of `game.moves`, with $N = W = 0$ and the prior of the legal moves made
#    to sum to 1.
# 4. `backup(…)`.
#
# The first simulation finds the root without children, evaluates it and hangs its moves below: so $n$ simulations are
# $n - 1$ visits to the root's children. These are what you return, at each move's place; moves that are not legal have
# none. Beside the four arrays you need each node's state, and the move that led there.


# %%
def mcts(game, state, evaluate, simulations, c):
    """Search a game from a state on.

    game         the rules: MOVES, moves(state), play(state, move), outcome(state)
    state        where the search begins; the game is not over there
    evaluate     evaluate(state) -> P (MOVES,), a prior over all moves, and v, the value for the player to move
    simulations  how many;  c  how much exploration counts, for puct
    Returns visits (MOVES,), how often each of the root's moves was visited.
    """
    ### BEGIN SOLUTION
    N, W, P, parent = torch.zeros(1, dtype=torch.int64), torch.zeros(1), torch.ones(1), torch.tensor([-1])
    states, moves = [state], [-1]
    for _ in range(simulations):
        leaf = int(select_leaf(N, W, P, parent, c)[-1])
        v = game.outcome(states[leaf])
        if v is None:
            prior, v = evaluate(states[leaf])
            legal = game.moves(states[leaf])
            nothing = torch.zeros(len(legal))
            N, W = torch.cat([N, nothing.long()]), torch.cat([W, nothing])
            P = torch.cat([P, prior[legal] / prior[legal].sum()])
            parent = torch.cat([parent, torch.full((len(legal),), leaf)])
            states += [game.play(states[leaf], move) for move in legal]
            moves += legal
        N, W = backup(N, W, parent, leaf, v)
    visits = torch.zeros(game.MOVES, dtype=torch.int64)
    for i in (parent == 0).nonzero()[:, 0]:
        visits[moves[i]] = N[i]
    return visits
    ### END SOLUTION


# %%
def no_idea(state):
    """Every move is as good as any other, and nobody is ahead."""
    return torch.full((9,), 1 / 9), 0.0


def position(*moves):
    """The state after these moves."""
    state = tictactoe.START
    for move in moves:
        state = tictactoe.play(state, move)
    return state


win, block = position(0, 3, 1, 4), position(0, 4, 1)
print(tictactoe.show(win))
lab.show(mcts, tictactoe, win, no_idea, 100, 1.5)
print(tictactoe.show(block))
lab.show(mcts, tictactoe, block, no_idea, 100, 1.5)

# %% [markdown]
# X wins at 2, and O must play 2 or lose. The network has no idea; the search finds both. Expect 99 visits each, all but
# a few of them at square 2:
#
# ```
# X X ·
# O O ·
# · · ·
# visits = tensor([ 0,  0, 91,  0,  0,  2,  2,  2,  2])
# X X ·
# · O ·
# · · ·
# visits = tensor([ 0,  0, 84,  3,  0,  3,  3,  3,  3])
# ```

# %%
lab.check(mcts).points

# %%
with when_written():
    prior, _ = no_idea(block)
    prior = prior * (torch.tensor(block) == 0)
    figure, panels = plt.subplots(1, 4, figsize=(10, 2.6))
    draw_board(panels[0], block, prior / prior.sum(), "prior")
    for axes, simulations in zip(panels[1:], (10, 30, 300)):
        visits = mcts(tictactoe, block, no_idea, simulations, 1.5)
        draw_board(axes, block, visits / visits.sum(), f"{simulations} simulations")
    describe(
        figure,
        "Four boards, X in two squares of the upper row and O in the middle, O to move. Left, the prior, the same on "
        "all six empty squares; then the shares of the visits after 10, 30 and 300 simulations: they gather on the "
        "square at the upper right, where X would win.",
    )

# %% [markdown] tags=["visit_policy"]
# ### 2.5 `visit_policy`
#
# A search ends in a distribution over moves, sharper or flatter by a *temperature* $\tau$:
#
# $$\pi_i = \frac{N_i^{1/\tau}}{\sum_j N_j^{1/\tau}}.$$
#
# At $\tau = 1$ these are the shares of the visits, which self-play samples its first moves from. At $\tau = 0$ take the
# limit: all for the most visited move, in equal parts where there are several. And between them mind the powers:
# $300^{1/0.002}$ is no number of any computer, though $\pi$ is.


# %%
def visit_policy(N, tau):
    """The policy that a search's visits make, at a temperature.

    N    (k,)  visits, integers, not all 0
    tau  the temperature, 0 or more
    Returns pi (k,), probabilities.
    """
    ### BEGIN SOLUTION
    share = N / N.max()
    power = (share == 1).double() if tau == 0 else share ** (1 / tau)
    return power / power.sum()
    ### END SOLUTION


# %%
for tau in (1.0, 0.5, 0.0):
    lab.show(visit_policy, torch.tensor([4, 0, 2, 4]), tau)

# %% [markdown]
# ```
# pi = tensor([0.4000, 0.0000, 0.2000, 0.4000])
# pi = tensor([0.4444, 0.0000, 0.1111, 0.4444])
# pi = tensor([0.5000, 0.0000, 0.0000, 0.5000])
# ```

# %%
lab.check(visit_policy).points

# %% [markdown] tags=["choose_move"]
# ### 2.6 `choose_move`
#
# Search, and play what was visited most. The check lets you play 12 whole games against a perfect player, after
# openings of up to two random moves, with 350 simulations a move and the network of a beginner, who likes the middle
# and the corners and has no idea who wins. A search that works loses none of them.


# %%
def choose_move(game, state, evaluate, simulations, c):
    """The move to play.

    game, state, evaluate, simulations, c  as in mcts
    Returns the move, an integer.
    """
    ### BEGIN SOLUTION
    visits = mcts(game, state, evaluate, simulations, c)
    return int(visit_policy(visits, 0).argmax())
    ### END SOLUTION


# %%
lab.show(choose_move, tictactoe, block, no_idea, 100, 1.5)

# %% [markdown]
# O blocks:
#
# ```
# moves = 2
# ```
#
# (The check takes some ten seconds. What it calls `moves` are those of whole games.)

# %%
lab.check(choose_move).points

# %%
lab.progress()

# %% [markdown]
# ## 3 The network
#
# One hidden layer, and two heads on it: the policy's logits, and the value.
#
# $$H = \tanh(X W^T + b), \qquad Z = H W_p^T + b_p, \quad p = \operatorname{softmax}(Z), \qquad
# v = \tanh(H W_v^T + b_v).$$
#
# A row of $X$ is a state as it is, nine numbers.

# %% [markdown] tags=["symmetries"]
# ### 3.1 `symmetries`
#
# A board can be turned by quarter turns and mirrored, and means the same: eight positions for the price of one, if the
# policy goes with the board. In this order:
#
# * 0 to 3: the board turned by 0, 1, 2, 3 quarter turns **against the clock**, as `torch.rot90` does;
# * 4 to 7: the board mirrored **left and right first**, then turned by 0, 1, 2, 3.
#
# `pi` has an entry for each square, row by row, and comes back in the same form.


# %%
def symmetries(board, pi):
    """The eight symmetric forms of a board, each with its policy.

    board  (n, n)
    pi     (n²,)  a probability for each square, row by row
    Returns boards (8, n, n) and pis (8, n²).
    """
    ### BEGIN SOLUTION
    both = torch.stack([board, pi.reshape(board.shape)])
    forms = torch.stack([torch.rot90(x, k, (1, 2)) for x in (both, both.flip(2)) for k in range(4)])
    return forms[:, 0], forms[:, 1].flatten(1)
    ### END SOLUTION


# %%
with when_written():
    boards, pis = symmetries(torch.tensor([[1, 2], [3, 4]]), torch.tensor([0.1, 0.2, 0.3, 0.4]))
    for k in (1, 4, 5):
        print(k, boards[k].tolist(), pis[k].tolist())

# %% [markdown]
# Wherever a 4 goes, its 0.4 goes, too:
#
# ```
# 1 [[2, 4], [1, 3]] [0.2, 0.4, 0.1, 0.3]
# 4 [[2, 1], [4, 3]] [0.2, 0.1, 0.4, 0.3]
# 5 [[1, 3], [2, 4]] [0.1, 0.3, 0.2, 0.4]
# ```

# %%
lab.check(symmetries).points

# %% [markdown] tags=["policy_value_gradient"]
# ### 3.2 `policy_value_gradient`
#
# The network learns from what the search found, a distribution $\pi$ over the moves, and from how the game ended, $z$,
# for the player to move. AlphaGo's successor trains both heads with one loss (Silver et al., 2017):
#
# $$\ell = \frac{1}{m} \sum_{r=1}^m \Big( (z_r - v_r)^2 - \sum_a \pi_{ra} \log p_{ra} \Big)
# + \lambda \big( \lVert W \rVert^2 + \lVert W_p \rVert^2 + \lVert W_v \rVert^2 \big).$$
#
# Three pieces, and each you know: cross-entropy, now with a distribution in place of a label; a squared error, under a
# $\tanh$; and a penalty on the weights, none on the biases. Two heads hand their gradients back to one $H$.


# %%
def policy_value_gradient(X, Pi, z, W, b, W_p, b_p, W_v, b_v, lam):
    """The loss of AlphaGo's network, and its gradients.

    X   (m, n)  a row for each position
    Pi  (m, A)  the policy to learn, rows that sum to 1
    z   (m,)    how the game ended, for the player to move
    W (k, n), b (k,), W_p (A, k), b_p (A,), W_v (1, k), b_v (1,)  the network
    lam         the factor of the L2 penalty
    Returns loss, a number, and G_W, G_b, G_W_p, G_b_p, G_W_v, G_b_v in the shapes of the parameters.
    """
    ### BEGIN SOLUTION
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    log_p = torch.log_softmax(H @ W_p.T + b_p, dim=1)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    penalty = (W**2).sum() + (W_p**2).sum() + (W_v**2).sum()
    loss = ((z - v) ** 2 - (Pi * log_p).sum(dim=1)).mean() + lam * penalty
    G_p = (log_p.exp() - Pi) / m
    G_v = (2 * (v - z) * (1 - v**2) / m)[:, None]
    G = (G_p @ W_p + G_v @ W_v) * (1 - H**2)
    G_W, G_W_p, G_W_v = G.T @ X + 2 * lam * W, G_p.T @ H + 2 * lam * W_p, G_v.T @ H + 2 * lam * W_v
    return loss, G_W, G.sum(dim=0), G_W_p, G_p.sum(dim=0), G_W_v, G_v.sum(dim=0)
    ### END SOLUTION


# %%
NAMES = ("W", "b", "W_p", "b_p", "W_v", "b_v")


def small_network(seed, k=64):
    """A network of k hidden units with random weights, the last layers small."""
    source = torch.Generator().manual_seed(seed)
    W, W_p, W_v = (torch.randn(shape, generator=source) for shape in ((k, 9), (9, k), (1, k)))
    return W / 3, torch.zeros(k), 0.1 * W_p / k**0.5, torch.zeros(9), 0.1 * W_v / k**0.5, torch.zeros(1)


few = torch.tensor([block, win, tictactoe.START]).double()
Pi = F.one_hot(torch.tensor([2, 2, 4]), 9).double()
z = torch.tensor([0.0, 1.0, 0.0])
with when_written():
    loss, *grads = policy_value_gradient(few, Pi, z, *small_network(0), 0.0)
    print(f"loss {loss:.4f}; log 9 + 1/3 is {math.log(9) + 1 / 3:.4f}")
    for name, g in zip(NAMES, grads):
        print(f"G_{name:<4}{tuple(g.shape)!s:<9} largest {g.abs().max():.4f}")

# %% [markdown]
# **Rungs 1 and 2 of the ladder.** A network that knows nothing must have a loss near $\log 9 + \frac13 = 2.5306$: the
# cross-entropy of nine equal moves, and one of three outcomes missed by 1. Expect 2.5740. Below, your gradients against
# differences of your loss along one random direction for each parameter; expect about $10^{-9}$.

# %%
with when_written():
    theta, eps, source = small_network(0), 1e-6, torch.Generator().manual_seed(1)
    grads = policy_value_gradient(few, Pi, z, *theta, 0.01)[1:]
    for i, name in enumerate(NAMES):
        along = torch.randn(theta[i].shape, generator=source)
        moved = [[w + s * eps * along if i == j else w for j, w in enumerate(theta)] for s in (1, -1)]
        up, down = (policy_value_gradient(few, Pi, z, *w, 0.01)[0] for w in moved)
        print(f"{name:<4} {abs((up - down) / (2 * eps) - (grads[i] * along).sum()):.0e}")

# %% [markdown]
# **Rung 3.** Three positions can be learned by heart. Expect a loss of 0.0055 after 500 steps without a penalty.

# %%
with when_written():
    theta = small_network(0)
    for step in range(501):
        loss, *grads = policy_value_gradient(few, Pi, z, *theta, 0.0)
        theta = [w - 0.5 * g for w, g in zip(theta, grads)]
        if step % 100 == 0:
            print(f"step {step:>3}  loss {loss:.4f}")

# %%
lab.check(policy_value_gradient).points

# %% [markdown] tags=["reinforce_gradient"]
# ### 3.3 `reinforce_gradient`
#
# The AlphaGo of 2016 began with human games, and then improved its policy by playing: sample a move $a$ from $p$, see
# how the game ends, and make what led to a win more likely, what led to a loss less. That is REINFORCE (Williams,
# 1992), the gradient of
#
# $$\ell = -\frac{1}{m} \sum_{r=1}^m (z_r - v_r) \log p_{r a_r}.$$
#
# $v$, the value head, is the *baseline*: a win that was expected anyway teaches little. It makes the gradient less
# noisy, and it is a **constant** here: nothing flows back through $v$, neither to its head nor to the hidden layer that
# it shares with the policy.
#
# Moves that are not legal must not be played. `legal (m, A)` is `True` where a move is; the softmax is over these
# alone, as if the others' logits were $-\infty$.


# %%
def reinforce_gradient(X, legal, a, z, W, b, W_p, b_p, W_v, b_v):
    """The policy gradient of moves that were played, with the value as baseline.

    X      (m, n)  a row for each position
    legal  (m, A)  which moves were legal, bool
    a      (m,)    the move that was played
    z      (m,)    how the game ended, for the player who moved
    W (k, n), b (k,), W_p (A, k), b_p (A,), W_v (1, k), b_v (1,)  the network
    Returns G_W, G_b, G_W_p, G_b_p, the gradients of the loss, in the shapes of the parameters.
    """
    ### BEGIN SOLUTION
    m = len(X)
    H = torch.tanh(X @ W.T + b)
    v = torch.tanh(H @ W_v.T + b_v)[:, 0]
    p = torch.softmax((H @ W_p.T + b_p).masked_fill(~legal, -torch.inf), dim=1)
    p[torch.arange(m), a] -= 1
    G_p = (z - v)[:, None] * p / m
    G = G_p @ W_p * (1 - H**2)
    return G.T @ X, G.sum(dim=0), G_p.T @ H, G_p.sum(dim=0)
    ### END SOLUTION


# %%
one, zero = torch.ones(1, 1), torch.zeros(1, 1)
legal = torch.tensor([[True, True, False]])
with when_written():
    tiny = (one, 0 * one[0], torch.zeros(3, 1), torch.zeros(3), zero, zero[0])
    *_, G_b_p = reinforce_gradient(one, legal, torch.tensor([0]), torch.tensor([1.0]), *tiny)
    print("G_b_p =", G_b_p)

# %% [markdown]
# Two legal moves, one half each; the first one was played and won, and the baseline is 0. Downhill, against this
# gradient, the first becomes more likely, and the third stays out of it:
#
# ```
# G_b_p = tensor([-0.5000,  0.5000,  0.0000])
# ```

# %%
lab.check(reinforce_gradient).points

# %% [markdown] tags=["why_constant"]
# **Question.** Why may any number that does not depend on the move be taken off $z$ without changing the gradient's
# mean? (What is $\sum_a p_a \nabla \log p_a$?) And what would the network learn if the gradient did flow through $v$:
# what would it have to do to $v$ to make the loss smaller, in a position where $\log p_a$ is very negative?
#
# *Your answer:*

# %% [markdown]
# **By playing alone.** 64 games at a time of the policy against itself, all moves sampled; then a step of
# `reinforce_gradient` for the policy, and one of `policy_value_gradient` for the value head. No search, no example of a
# good move. The figure shows how often it loses to a player who moves at random.


# %%
def legal_moves(states):
    """(m, 9) bool: which moves are legal."""
    return torch.tensor(states) == 0


def sampled(theta, states, source):
    """One move for each state, sampled from the network's policy."""
    W, b, W_p, b_p, _, _ = theta
    Z = torch.tanh(torch.tensor(states).double() @ W.T + b) @ W_p.T + b_p
    p = Z.masked_fill(~legal_moves(states), -torch.inf).softmax(1)
    return torch.multinomial(p, 1, generator=source)[:, 0].tolist()


def played(players, games, source):
    """Whole games between two players, in step; a list of (state, move, z) for each game, z for who moved."""
    states, records = [tictactoe.START] * games, [[] for _ in range(games)]
    for ply in range(9):
        going = [i for i in range(games) if tictactoe.outcome(states[i]) is None]
        if not going:
            break
        for i, move in zip(going, players[ply % 2]([states[i] for i in going], source)):
            records[i].append((states[i], move))
            states[i] = tictactoe.play(states[i], move)
    ends = [tictactoe.outcome(state) for state in states]
    return [
        [(state, move, end * (-1) ** (len(record) - ply)) for ply, (state, move) in enumerate(record)]
        for record, end in zip(records, ends)
    ]


def at_random(states, source):
    """A legal move of each state, each as likely as any other."""
    return torch.multinomial(legal_moves(states).double(), 1, generator=source)[:, 0].tolist()


def lost_share(theta, games, source):
    """How often the policy loses to a player who moves at random, half of the games as the first player."""
    policy = partial(sampled, theta)
    first, second = played((policy, at_random), games, source), played((at_random, policy), games, source)
    return sum(g[0][2] == -1 for g in first) / games / 2 + sum(g[1][2] == -1 for g in second) / games / 2


with when_written():
    theta, source, curve = list(small_network(0)), torch.Generator().manual_seed(0), []
    for step in range(401):
        if step % 40 == 0:
            curve.append((step, lost_share(theta, 400, source)))
        policy = partial(sampled, theta)
        states, a, z = zip(*(moment for game in played((policy, policy), 64, source) for moment in game))
        X, a, z = torch.tensor(states).double(), torch.tensor(a), torch.tensor(z).double()
        G = reinforce_gradient(X, legal_moves(states), a, z, *theta)
        G_v = policy_value_gradient(X, F.one_hot(a, 9).double(), z, *theta, 0.0)[5:]
        theta = [w - 0.7 * g for w, g in zip(theta, (*G, *G_v))]
    steps, lost = zip(*curve)
    print(f"lost to a random player: {lost[0]:.1%} at first, {lost[-1]:.1%} after {steps[-1]} steps")
    figure, axes = plt.subplots(figsize=(5, 2.8))
    axes.plot(steps, lost, marker="o")
    axes.set(xlabel="steps of 64 games", ylabel="games lost", title="against a random player", ylim=(0, None))
    describe(
        figure,
        f"The share of games that the policy loses to a random player, over {steps[-1]} steps: it falls from "
        f"{lost[0]:.0%} to {lost[-1]:.0%}.",
    )

# %% [markdown]
# Expect 45 % at first and about 23 % at the end: half of the losses, by playing alone. It is a policy that samples,
# though, and does not look ahead.

# %% [markdown]
# ## 4 All together
#
# Go masters' games were AlphaGo's first teacher, so let a perfect player's be ours: 400 recorded games, in which each
# side errs in three moves of ten. Of the rest the policy learns the move that was played, and the value how the game
# ended, in all eight symmetric forms, with your `policy_value_gradient`.


# %%
def network(theta):
    """The network as `evaluate` of the search."""
    W, b, W_p, b_p, W_v, b_v = theta

    def evaluate(state):
        H = torch.tanh(W @ torch.tensor(state).double() + b)
        return torch.softmax(W_p @ H + b_p, dim=0), torch.tanh(W_v @ H + b_v).item()

    return evaluate


def one_of(items, source):
    """One of several, each as likely as any other."""
    return items[int(torch.randint(len(items), (), generator=source))]


def recorded(games, source):
    """Records of a perfect player against another, (state, move, z); at random, and left out, are 3 moves of 10."""
    records = []
    for _ in range(games):
        state, record = tictactoe.START, []
        while (end := tictactoe.outcome(state)) is None:
            errs = torch.rand((), generator=source) < 0.3
            move = one_of(tictactoe.moves(state) if errs else tictactoe.perfect_moves(state), source)
            record.append((state, move, errs))
            state = tictactoe.play(state, move)
        ends = [end * (-1) ** (len(record) - ply) for ply in range(len(record))]
        records += [(state, move, z) for (state, move, errs), z in zip(record, ends) if not errs]
    return records


def in_all_forms(records):
    """Eight rows for each record: X, Pi and z."""
    states, moves, z = zip(*records)
    pairs = zip(torch.tensor(states).double().reshape(-1, 3, 3), F.one_hot(torch.tensor(moves), 9).double())
    boards, pis = zip(*(symmetries(board, pi) for board, pi in pairs))
    return torch.cat(boards).flatten(1), torch.cat(pis), torch.tensor(z).double().repeat_interleave(8)


def lost_to_perfect_play(evaluate, simulations, games, source):
    """How many games are lost to a perfect player, who takes a random one of the best moves; every other one begins."""
    lost = 0
    for game in range(games):
        state, ply = tictactoe.START, 0
        while tictactoe.outcome(state) is None:
            if (ply + game) % 2 == 0:
                move = choose_move(tictactoe, state, evaluate, simulations, 1.5)
            else:
                move = one_of(tictactoe.perfect_moves(state), source)
            state, ply = tictactoe.play(state, move), ply + 1
        lost += tictactoe.outcome(state) == -1 and (ply + game) % 2 == 0
    return lost


untrained = theta = small_network(0, k=128)
with when_written():
    source = torch.Generator().manual_seed(0)
    X, Pi, z = in_all_forms(recorded(400, source))
    velocity = [torch.zeros_like(w) for w in theta]
    print(f"{len(X):,} positions")
    for epoch in range(10):
        losses = []
        for batch in torch.randperm(len(X), generator=source).split(128):
            loss, *grads = policy_value_gradient(X[batch], Pi[batch], z[batch], *theta, 1e-5)
            velocity = [0.9 * u + g for u, g in zip(velocity, grads)]
            theta = [w - 0.1 * 0.8**epoch * u for w, u in zip(theta, velocity)]
            losses.append(loss.item())
        print(f"epoch {epoch}  loss {sum(losses) / len(losses):.3f}")

# %% [markdown]
# Expect 2.605 in the first epoch and 1.587 in the last. It cannot reach 0: where several moves are perfect, nobody can
# tell which one was played, and who errs later decides the game.
#
# Then against the perfect player, with 2 simulations a move, of which the first evaluates the root and the second goes
# where the prior is largest: that is the network, without search; and with 50. Some ten seconds.

# %%
with when_written():
    for name, net in (("untrained", untrained), ("trained", theta)):
        for simulations in (2, 50):
            lost = lost_to_perfect_play(network(net), simulations, 60, torch.Generator().manual_seed(1))
            print(f"{name:<9} network, {simulations:>2} simulations: {lost:>2} of 60 games lost")

# %% [markdown]
# ```
# untrained network,  2 simulations: 47 of 60 games lost
# untrained network, 50 simulations: 31 of 60 games lost
# trained   network,  2 simulations:  0 of 60 games lost
# trained   network, 50 simulations:  0 of 60 games lost
# ```
#
# The search makes up for some of what the network does not know. Of nine squares the network knows all that it needs,
# and never has to look ahead; in Go neither is enough alone.

# %%
with when_written():
    if theta is untrained:
        raise NotImplementedError("policy_value_gradient")
    start, corner = tictactoe.START, position(0)
    figure, panels = plt.subplots(1, 3, figsize=(8, 2.8))
    for axes, state, name in zip(panels, (start, corner, block), ("an empty board", "after a corner", "a threat")):
        P, v = network(theta)(state)
        draw_board(axes, state, P * (torch.tensor(state) == 0), f"{name}: v = {v:.2f}")
    describe(
        figure,
        "The trained network's prior on three boards, without search: nearly all nine moves on the empty one, since "
        "all are draws; the middle after a move in the corner, which alone does not lose; and the upper right, where X "
        "threatens to win.",
    )

# %% [markdown]
# From here AlphaGo went on to play against itself, and AlphaGo Zero (2017) left the masters out: the search's
# `visit_policy` is the $\pi$ to learn from, the game's end is $z$, the network that has learned them makes a better
# search, and so on. Every piece of it is yours now. Go has 361 squares in place of 9, a tower of convolutions in place
# of one hidden layer, and 10,000 simulations in place of 50.

# %%
lab.progress()
