"""The questions imported for their reference."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    from dl780.questions.backprop import linear_backward as question

    return list(question.answers(dict(G=G, Z=Z, W=W, b=b)).values())
