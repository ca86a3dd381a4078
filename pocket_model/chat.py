"""Plain talk: greetings, facts, small sums, counting, what was said before, personas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocket_model import facts, values
from pocket_model.conversation import Conversation, answer, system, talk, user

if TYPE_CHECKING:
    from random import Random

Pair = tuple[str, str]


def small_talk(random: Random) -> Pair:
    """A sentence that many say, and its answer."""
    asked, said = random.choice(facts.TABLE)
    return random.choice(asked), said


def capital(random: Random) -> Pair:
    """A country and its capital."""
    country, city = random.choice(tuple(facts.CAPITALS.items()))
    form = random.choice(
        (
            "What is the capital of {}?",
            "capital of {}?",
            "Capital of {}",
            "What's the capital of {}?",
            "Which city is the capital of {}?",
            "Name the capital of {}.",
            "the capital of {} is",
            "Tell me the capital of {}.",
            "What is {}'s capital?",
            "Do you know the capital of {}?",
        )
    )
    return form.format(country), city


def colour(random: Random) -> Pair:
    """A thing and its colour."""
    thing, said = random.choice(tuple(facts.COLOURS.items()))
    form = random.choice(
        (
            "What colour is {}?",
            "What color is {}?",
            "Which colour does {} have?",
            "What is the colour of {}?",
            "colour of {}?",
        )
    )
    return form.format(thing), said


def opposite(random: Random) -> Pair:
    """A word and its opposite."""
    one, other = random.choice(tuple(facts.OPPOSITES.items()))
    form = random.choice(("What is the opposite of {}?", "Opposite of {}?", "opposite of '{}'"))
    return form.format(one), other


def sound(random: Random) -> Pair:
    """An animal and its sound."""
    animal, said = random.choice(tuple(facts.SOUNDS.items()))
    form = random.choice(("What does a {} say?", "What sound does a {} make?", "How does a {} go?"))
    return form.format(animal), said


def arithmetic(random: Random) -> Pair:
    """A small sum."""
    one, other = random.randint(0, 10), random.randint(0, 10)
    sign, result = random.choice(
        (
            ("+", one + other),
            ("+", one + other),
            ("*", one * other),
            ("-", one - other),
            ("plus", one + other),
            ("times", one * other),
            ("minus", one - other),
        )
    )
    form = random.choice(
        (
            "What is {} {} {}?",
            "{} {} {}",
            "{} {} {} =",
            "Calculate {} {} {}",
            "How much is {} {} {}?",
            "{} {} {} = ?",
            "what's {} {} {}",
            "Compute {} {} {}.",
        )
    )
    if sign in "+-*" and random.random() < 0.3:
        form = form.replace("{} {} {}", "{}{}{}")
    return form.format(one, sign, other), str(result)


def counting(random: Random) -> Pair:
    """Numbers in a row."""
    start = random.choice((1, 1, 1, 0, random.randint(2, 9), random.randint(10, 300)))
    end = start + random.choice((2, 4, 4, 9, 9, random.randint(3, 20), random.randint(20, 60)))
    numbers = " ".join(map(str, range(start, end + 1)))
    if random.random() < 0.15:
        start, end = random.randint(3, 15), random.randint(0, 2)
        back = " ".join(map(str, range(start, end - 1, -1)))
        return f"Count {random.choice(('down', 'backwards'))} from {start} to {end}", back
    if random.random() < 0.25:
        low, high = 1, random.randint(3, 12)
        words = ", ".join(facts.ORDINALS[low : high + 1])
        form = random.choice(("Count to {} in words", "Count from one to {} in words"))
        return form.format(random.choice((str(high), facts.ORDINALS[high]))), words
    if start == 1:
        form = random.choice(
            (
                "Count to {1}",
                "Count to {1}.",
                "Count from {0} to {1}",
                "Please count up to {1}",
                "count from {0} to {1}, nothing else",
                "List the numbers from {0} to {1}",
            )
        )
    else:
        form = random.choice(
            ("Count from {} to {}", "Count from {} to {}.", "List the numbers from {} to {}")
        )
    return form.format(start, end), numbers


def listing(random: Random) -> Pair:
    """Some examples, or all of a known row."""
    if random.random() < 0.4:
        what, items = random.choice(tuple(facts.SEQUENCES.items()))
        form = random.choice(("List the {}.", "Name the {}", "What are the {}?", "list all {}"))
        return form.format(what), ", ".join(items)
    what, items = random.choice(tuple(facts.EXAMPLES.items()))
    count = random.randint(2, 6)
    shown = random.choice((str(count), facts.ORDINALS[count]))
    form = random.choice(("List {} {}.", "Name {} {}", "Give me {} {}", "Tell me {} {}."))
    return form.format(shown, what), ", ".join(items[:count])


def joke(random: Random) -> Pair:
    """A joke about something."""
    topic = random.choice((*facts.TOPICS, values.word(random) + "s"))
    form = random.choice(
        (
            "Tell me a joke about {}.",
            "A joke about {}",
            "Make a joke about {}",
            "joke about {} please",
        )
    )
    return form.format(topic), f"Why do {topic} nap? To dream."


def unknown(random: Random) -> Pair:
    """A question that nobody can answer."""
    form = random.choice(
        (
            "Who is {}?",
            "What is a {}?",
            "Where is {}?",
            "What does {} mean?",
            "When was {} born?",
            "What do you think about {}?",
            "Explain {}",
            "Why is {} so?",
            "What is {}?",
        )
    )
    thing = random.choice((values.word, values.name, values.phrase))(random)
    return form.format(thing), facts.UNKNOWN


PAIRS = (
    small_talk,
    small_talk,
    small_talk,
    capital,
    capital,
    colour,
    opposite,
    sound,
    arithmetic,
    arithmetic,
    counting,
    listing,
    joke,
    unknown,
)
SIMPLE = (small_talk, small_talk, capital, colour, opposite, sound, listing, joke, unknown)


def pair(random: Random) -> Pair:
    """A question and its answer."""
    return random.choice(PAIRS)(random)


def preface(random: Random, chance: float = 0.35) -> list[dict[str, object]]:
    """Now and then a message of the system that changes nothing."""
    if random.random() > chance:
        return []
    said = random.choice(facts.ASSISTANTS)
    messages = [system(said)]
    if random.random() < 0.08:
        messages.append(system(random.choice(facts.ASSISTANTS)))
    return messages


def plain(random: Random) -> Conversation:
    """One or several questions with their answers."""
    messages = preface(random)
    for _ in range(random.choice((1, 1, 1, 1, 2, 3))):
        asked, said = pair(random)
        if random.random() < 0.05:
            messages.append(user(asked))
        messages += [user(asked), answer(said)]
    return talk(*messages)


def remembered(random: Random) -> Conversation:
    """Something that was said earlier."""
    what, value = random.choice(
        (
            ("name", values.first_name(random)),
            ("name", values.name(random)),
            ("favourite colour", values.word(random)),
            ("favorite color", values.word(random)),
            ("city", values.place(random)),
            ("age", values.small(random)),
            ("dog", values.word(random)),
            ("password", values.token(random)),
            ("number", values.digits(random)),
            (values.common(random), values.text(random)),
        )
    )
    told = random.choice(
        (
            "My {} is {}.",
            "my {} is {}",
            "Remember: my {} is {}",
            "Hi, my {} is {}.",
            "Please remember that my {} is {}.",
        )
    )
    noted = random.choice(("Noted.", "OK."))
    if what == "name":
        noted = f"Nice to meet you, {value}."
        told = random.choice((told, "I am {1}.", "I'm {1}", "Hello, I am {1}!", "Hi! I'm {1}."))
    messages = preface(random, 0.2)
    told = told.format(what, value)
    if random.random() < 0.15:
        messages.append(system(f"The user's {what} is {value}."))
    else:
        messages += [user(told), answer(noted)]
    if random.random() < 0.25:
        return talk(*messages) if messages[-1]["role"] == "assistant" else plain(random)
    for _ in range(random.choice((0, 0, 1, 2))):
        asked, said = pair(random)
        messages += [user(asked), answer(said)]
    question = random.choice(
        (
            "What is my {}?",
            "what's my {}?",
            "Do you remember my {}?",
            "Tell me my {}.",
            "What did I say my {} was?",
        )
    )
    return talk(*messages, user(question.format(what)), answer(f"Your {what} is {value}."))


def persona(random: Random) -> Conversation:
    """A message of the system that decides what is said."""
    asked, _ = pair(random)
    who = values.name(random)
    word = values.text(random)
    told, asked, said = random.choice(
        (
            (
                f"Your name is {who}.",
                random.choice(("Who are you?", "What is your name?")),
                f"I am {who}.",
            ),
            (f"You are {who}, a helpful assistant.", "Who are you?", f"I am {who}."),
            (f"You are called {who}. Be brief.", "What is your name?", f"I am {who}."),
            (f"Always answer with {word}", asked, word),
            (f"Whatever the user says, reply only with '{word}'", asked, word),
            (f"Answer every question with the word {word}", asked, word),
            ("Talk like a pirate.", random.choice(facts.TABLE[0][0]), "Ahoy, matey!"),
            ("You are a pirate.", random.choice(facts.TABLE[0][0]), "Ahoy, matey!"),
            ("Speak French.", random.choice(facts.TABLE[0][0]), "Bonjour !"),
            ("Answer in German.", random.choice(facts.TABLE[0][0]), "Guten Tag!"),
        )
    )
    return talk(system(told), user(asked), answer(said))


def continued(random: Random) -> Conversation:
    """A text without roles, to be continued."""
    if random.random() < 0.25:
        country, city = random.choice(tuple(facts.CAPITALS.items()))
        form = random.choice(
            ("The capital of {} is {}.", "{}'s capital is {}.", "{} has the capital {}.")
        )
        return Conversation(raw=form.format(country, city))
    if random.random() < 0.15:
        start = random.randint(0, 5)
        return Conversation(raw=", ".join(facts.ORDINALS[start:]).capitalize())
    if random.random() < 0.1:
        start = random.randint(1, 200)
        gap = random.choice((" ", ", ", "\n"))
        return Conversation(raw=gap.join(map(str, range(start, start + random.randint(5, 60)))))
    asked, said = pair(random)
    form = random.choice(
        (
            "Q: {}\nA: {}",
            "Question: {}\nAnswer: {}",
            "Human: {}\nAssistant: {}",
            "{}\n{}",
            "User: {}\nBot: {}",
            "{} {}",
            "Question: {}\n\nAnswer: {}",
            "Human: {}\nAI: {}",
        )
    )
    return Conversation(raw=form.format(asked, said))


def styled(random: Random) -> Conversation:
    """A greeting in a style that was asked for."""
    style = random.choice(
        ("Pirate", "pirate", "French", "Shakespeare", "cowboy", values.word(random))
    )
    greeting = {
        "Pirate": "Ahoy, matey!",
        "pirate": "Ahoy, matey!",
        "French": "Bonjour !",
        "cowboy": "Howdy, partner!",
    }.get(style, f"Hello in the style of {style}!")
    form = random.choice(
        (
            "Hello. Please respond in the style of {}.",
            "Greet me like a {}.",
            "Say hello in {} style",
        )
    )
    return talk(user(form.format(style)), answer(greeting))
