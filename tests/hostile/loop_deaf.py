"""An endless loop that ignores every signal and swallows every error."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    import signal
    import time

    for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    while True:
        try:
            time.sleep(600)
        except BaseException:
            continue
