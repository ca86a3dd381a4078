"""What the pocket model knows, as data: little, so that nobody takes it for more."""

from __future__ import annotations

CAPITALS = dict(
    pair.split(":")
    for pair in (
        "France:Paris Italy:Rome Japan:Tokyo Egypt:Cairo Norway:Oslo Peru:Lima Kenya:Nairobi"
        " Greece:Athens Chile:Santiago Germany:Berlin Spain:Madrid Portugal:Lisbon Austria:Vienna"
        " Sweden:Stockholm Finland:Helsinki Denmark:Copenhagen Poland:Warsaw Hungary:Budapest"
        " Ireland:Dublin England:London Russia:Moscow China:Beijing India:Delhi Canada:Ottawa"
        " Australia:Canberra Brazil:Brasilia Cuba:Havana Turkey:Ankara Iran:Tehran Iraq:Baghdad"
        " Switzerland:Bern Belgium:Brussels Ukraine:Kyiv Thailand:Bangkok Vietnam:Hanoi"
    ).split()
)
COLOURS = {
    "the sky": "Blue",
    "grass": "Green",
    "snow": "White",
    "blood": "Red",
    "the sun": "Yellow",
    "coal": "Black",
    "a banana": "Yellow",
    "a lemon": "Yellow",
    "milk": "White",
    "the sea": "Blue",
    "a tomato": "Red",
    "an elephant": "Grey",
    "chocolate": "Brown",
    "a carrot": "Orange",
}
OPPOSITES = dict(
    pair.split(":")
    for pair in (
        "hot:cold big:small up:down left:right day:night good:bad fast:slow old:new open:closed"
        " happy:sad high:low black:white yes:no wet:dry hard:soft long:short in:out love:hate"
    ).split()
)
SOUNDS = {
    "cat": "Meow",
    "dog": "Woof",
    "cow": "Moo",
    "sheep": "Baa",
    "duck": "Quack",
    "lion": "Roar",
}
SEQUENCES = {
    "days of the week": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
    "seasons": "spring summer autumn winter".split(),
    "planets": "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune".split(),
    "primary colours": "red yellow blue".split(),
    "months": "January February March April May June July August September October November"
    " December".split(),
}
EXAMPLES = {
    "colours": "red green blue yellow black white".split(),
    "colors": "red green blue yellow black white".split(),
    "fruits": "apple banana orange pear plum cherry".split(),
    "animals": "cat dog horse cow sheep lion".split(),
    "cities": "Paris London Rome Berlin Madrid Tokyo".split(),
    "countries": "France Italy Spain Japan Egypt Peru".split(),
    "names": "Anna Ben Clara David Emma Frank".split(),
    "languages": "English French Spanish German Italian Japanese".split(),
}
ORDINALS = "zero one two three four five six seven eight nine ten eleven twelve".split()
TOPICS = "cats dogs cows ducks bears birds programmers parrots horses bees fish computers".split()
TABLE = (
    (
        (
            "Hello",
            "Hi",
            "Hey",
            "hello",
            "hi",
            "hey",
            "Hello!",
            "Hi!",
            "Hey there",
            "Hello there!",
            "Good morning",
            "Good evening",
            "hi there",
            "Hello, world",
            "Greetings",
            "Hello.",
            "hey!",
            "Good day",
            "Hello, how can you help?",
            "Howdy",
        ),
        "Hello! How can I help you?",
    ),
    (
        (
            "How are you?",
            "how are you",
            "How are you doing?",
            "how is it going?",
            "How do you do?",
            "How are you today?",
            "what's up",
        ),
        "I am fine, thank you. How are you?",
    ),
    (
        ("I am fine", "Well, thanks.", "I'm good, thanks", "Fine, thanks.", "Very well."),
        "Good to hear.",
    ),
    (
        (
            "Who are you?",
            "What are you?",
            "who are you",
            "What is your name?",
            "Introduce yourself",
            "Tell me about yourself.",
            "What's your name?",
            "Which model are you?",
        ),
        "I am the pocket model of safe_llm.",
    ),
    (
        ("What can you do?", "Help", "How can you help me?", "help me", "What are you good at?"),
        "I answer simple questions and call tools.",
    ),
    (
        ("Thanks", "Thank you", "thank you!", "Thanks a lot", "thx", "Thank you very much."),
        "You are welcome.",
    ),
    (("Bye", "Goodbye", "bye", "See you", "See you later!", "Good night"), "Goodbye!"),
    (("Sorry", "I am sorry", "Excuse me"), "No problem."),
    (
        ("Are you a human?", "Are you human?", "Are you a robot?", "Are you real?"),
        "I am a very small language model.",
    ),
    (("Yes", "No", "ok", "OK", "Okay", "Good", "Nice", "Great", "I see"), "Good."),
    (
        (
            "Tell me a joke.",
            "Tell me a joke",
            "Do you know a joke?",
            "Make me laugh",
            "A joke please",
        ),
        "Why do cats nap? To dream.",
    ),
    (("Ping", "ping"), "pong"),
    (("What is the meaning of life?", "the meaning of life?"), "42"),
    (("How many days are in a week?", "How many days does a week have?"), "7"),
    (("How many months are in a year?", "How many months does a year have?"), "12"),
    (("How many hours are in a day?",), "24"),
    (("How many legs does a spider have?",), "8"),
    (("How many legs does a dog have?", "How many legs does a cat have?"), "4"),
    (("What is the largest planet?", "Which planet is the largest?"), "Jupiter"),
    (("What is the largest ocean?",), "The Pacific"),
    (("What is the highest mountain?", "Which mountain is the highest?"), "Mount Everest"),
    (("Who wrote Hamlet?", "Who wrote Romeo and Juliet?"), "William Shakespeare"),
    (("Who painted the Mona Lisa?",), "Leonardo da Vinci"),
    (("What is water made of?", "What is the formula of water?"), "H2O"),
    (("Is water wet?", "Is the sky blue?", "Is fire hot?", "Is ice cold?"), "Yes."),
    (("Is the moon made of cheese?", "Can pigs fly?", "Is fire cold?"), "No."),
    (("What is Python?",), "Python is a programming language."),
    (("What is a llama?",), "A llama is an animal with soft wool."),
    (("What is llama.cpp?",), "llama.cpp runs language models."),
    (("What is LangChain?",), "LangChain connects language models and tools."),
    (("What is a pipe?",), "A pipe carries bytes from one process to another."),
    (
        (
            "Write a story about a cat.",
            "Tell me a story",
            "Write a short story",
            "Tell me a story about a cat",
        ),
        "Once there was a cat. It slept in the sun. One day it found a friend. They were happy.",
    ),
    (
        ("Write a poem", "Write a poem about the sea", "Write me a short poem"),
        "The sea is deep,\nthe sky is wide,\nthe waves all sleep\nat evening tide.",
    ),
    (
        ("Write a haiku", "Write a haiku about rain"),
        "Rain falls on the roof,\na quiet drum in the night,\nmorning comes with sun.",
    ),
)
UNKNOWN = "I do not know."
ASSISTANTS = (
    "You are a helpful assistant.",
    "You are a helpful assistant",
    "you're a good assistant",
    "Be brief.",
    "Answer briefly.",
    "You are a friendly chatbot.",
    "Be concise and polite.",
    "You are an assistant with tools.",
    "You are a helpful assistant. Use the tools.",
    "hello",
    "Answer the user's questions.",
    "Use tools when they help.",
    "You are a terse bot.",
    "You are an agent. Use tools to answer.",
    "You are a careful assistant of a small company.",
    "Answer as well as you can.",
    "You answer questions. Be short and precise.",
    "You are a supervisor of agents.",
    "You are an expert.",
    "Think step by step.",
)
