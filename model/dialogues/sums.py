"""Small sums and counting, and the honest end of both."""

import operator
import random
from collections.abc import Callable

from model.chat import Dialogue, exchange, spoken
from model.world import COUNT_REFUSAL, LARGEST_COUNT, LARGEST_FACTOR, LARGEST_TERM, NUMBER_WORDS, SUM_REFUSAL

OPERATIONS: dict[str, tuple[str, Callable[[int, int], int], int]] = {
    "+": ("plus", operator.add, LARGEST_TERM),
    "-": ("minus", operator.sub, LARGEST_TERM),
    "*": ("times", operator.mul, LARGEST_FACTOR),
}
SUM_QUESTIONS = (
    "What is {sum}?",
    "What is {sum}?",
    "{sum}",
    "{sum} = ?",
    "{sum}=",
    "Calculate {sum}.",
    "Compute {sum}",
    "How much is {sum}?",
    "What's {sum}?",
    "Solve {sum}",
    "What does {sum} equal?",
    "What is the result of {sum}?",
)
COUNT_UP = (
    "Count to {last}.",
    "Count from 1 to {last}",
    "Count from one to {last}.",
    "Please count up to {last}",
    "Can you count to {last}?",
    "List the numbers from 1 to {last}",
    "Write the numbers 1 to {last}",
    "Count up to {last}.",
)
COUNT_DOWN = (
    "Count down from {first}",
    "Count backwards from {first}.",
    "Countdown from {first}",
    "Count down from {first} to 1.",
)


def written_sum(rng: random.Random, a: int, symbol: str, b: int) -> str:
    """The same sum as people write it: `7 + 5`, `7+5`, `7 plus 5`, `seven plus five`, `7 x 5`."""
    word = OPERATIONS[symbol][0]
    sign = rng.choice(["x", "*", "*"]) if symbol == "*" else symbol
    forms = [f"{a} {sign} {b}", f"{a} {sign} {b}", f"{a}{sign}{b}", f"{a} {word} {b}"]
    if max(a, b) < len(NUMBER_WORDS):
        forms.append(f"{NUMBER_WORDS[a]} {word} {NUMBER_WORDS[b]}")
    return rng.choice(forms)


def small_sum(rng: random.Random) -> Dialogue:
    symbol = rng.choice("++--*")
    _, apply, largest = OPERATIONS[symbol]
    a, b = rng.randint(0, largest), rng.randint(0, largest)
    question = rng.choice(SUM_QUESTIONS).format(sum=written_sum(rng, a, symbol, b))
    return exchange(spoken(rng, question), f"{a} {symbol} {b} = {apply(a, b)}")


def big_sum(rng: random.Random) -> Dialogue:
    """A sum with at least one number outside the declared range, a division or a longer chain."""
    symbol = rng.choice("+-*")
    _, _, largest = OPERATIONS[symbol]
    digits = rng.choice([2, 2, 3, 3, 4, 5])
    big = rng.randint(largest + 1, 10**digits - 1)
    small = rng.randint(0, 10 ** rng.choice([1, 2, digits]) - 1)
    a, b = rng.sample([big, small], 2)
    written = rng.choice(
        [
            *(4 * [written_sum(rng, a, symbol, b)]),
            f"{a} / {rng.randint(1, 20)}",
            f"{a} divided by {rng.randint(1, 20)}",
            f"{rng.randint(1, 20)} + {rng.randint(1, 20)} * {rng.randint(1, 20)}",
            f"{rng.randint(1, 20)} + {rng.randint(1, 20)} + {rng.randint(1, 20)}",
            f"{rng.randint(1, 50)}.{rng.randint(1, 9)} {symbol} {rng.randint(1, 20)}",
        ]
    )
    return exchange(spoken(rng, rng.choice(SUM_QUESTIONS).format(sum=written)), SUM_REFUSAL)


def count(rng: random.Random) -> Dialogue:
    last = rng.randint(2, LARGEST_COUNT)
    written = rng.choice([str(last), str(last), NUMBER_WORDS[last]])
    if rng.random() < 0.3:
        numbers = ", ".join(map(str, range(last, 0, -1)))
        question = rng.choice(COUNT_DOWN).format(first=written)
        return exchange(spoken(rng, question), f"Counting down from {last}: {numbers}")
    numbers = ", ".join(map(str, range(1, last + 1)))
    return exchange(spoken(rng, rng.choice(COUNT_UP).format(last=written)), f"Counting to {last}: {numbers}")


def long_count(rng: random.Random) -> Dialogue:
    last = rng.randint(LARGEST_COUNT + 1, rng.choice([20, 50, 100, 1000]))
    written = NUMBER_WORDS[last] if last < len(NUMBER_WORDS) and rng.random() < 0.3 else str(last)
    question = rng.choice(COUNT_UP + COUNT_DOWN).format(last=written, first=written)
    return exchange(spoken(rng, question), COUNT_REFUSAL)
