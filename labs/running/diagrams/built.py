"""The diagrams about how the course itself is built."""

from labs.running.diagrams.drawing import BLUE, GREEN, GREY, ORANGE, PURPLE, SOFT, Drawing


def one_description() -> Drawing:
    """Draw the path from a cell of a notebook to a replica, on both runtimes."""
    drawing = Drawing(
        720,
        312,
        "A notebook asks the environment, whose supervisor reads docker-compose.yml and starts the same commands "
        "in containers or as processes.",
    )
    drawing.box(20, 20, "a cell of a lab\nenv.scale(...)", w=150, h=52, colour=GREY)
    drawing.box(20, 120, "labs/\nexperiments, judges,\nrecords", w=150, h=66, colour=GREY)
    drawing.box(230, 20, "environment/client/\nwhat a cell talks to", w=170, h=52, colour=BLUE)
    drawing.box(
        230, 127, "environment/supervisor/\none process per session", w=170, h=52, colour=BLUE
    )
    drawing.box(510, 20, "docker-compose.yml\nthe one description", w=180, h=52, colour=ORANGE)
    drawing.box(462, 112, "Docker runtime\ncontainers", w=116, h=46, colour=GREEN)
    drawing.box(595, 112, "process runtime\nchild processes", w=112, h=46, colour=GREEN)
    drawing.box(
        450,
        230,
        "microservices/\nservices, nginx, Valkey, Kafka:\nthe same commands on both",
        w=250,
        h=66,
        colour=PURPLE,
    )
    drawing.line([(170, 46), (230, 46)], colour=SOFT, head=True)
    drawing.line([(95, 120), (95, 72)], colour=SOFT, head=True)
    drawing.arrow((315, 72), (315, 127), "", colour=SOFT)
    drawing.text(325, 104, "typed verbs", anchor="start", size=11.5, colour=SOFT)
    drawing.line([(400, 144), (462, 135)], colour=SOFT, head=True)
    drawing.line([(510, 52), (380, 127)], colour=ORANGE, head=True, dashed=True)
    drawing.text(452, 96, "reads", anchor="start", size=11.5, colour=ORANGE)
    drawing.line([(400, 166), (440, 186), (651, 186), (651, 158)], colour=SOFT, head=True)
    drawing.line([(520, 158), (520, 230)], colour=SOFT, head=True)
    drawing.line([(670, 158), (670, 230)], colour=SOFT, head=True)
    drawing.line([(95, 186), (95, 263), (450, 263)], colour=SOFT, dashed=True, head=True)
    drawing.text(270, 255, "an experiment measures over HTTP and Kafka", size=11.5, colour=SOFT)
    return drawing


def life_of_a_number() -> Drawing:
    """Draw how a measured number comes from a prediction to a page of this book."""
    drawing = Drawing(
        720,
        268,
        "A prediction and samples are judged, the verdict is recorded, and the record fills the pages of the book.",
    )
    drawing.box(10, 20, "predict\na formula", w=100, h=48, colour=ORANGE)
    drawing.box(10, 110, "measure\nsamples", w=100, h=48, colour=BLUE)
    drawing.box(175, 65, "judge\ncases, attempts,\na policy", w=125, h=64, colour=PURPLE)
    drawing.box(375, 65, "run record\nsamples, verdict,\nmachine, seed", w=135, h=64, colour=GREEN)
    drawing.box(585, 14, "figure", w=120, h=34, colour=GREY)
    drawing.box(585, 68, "report of the run", w=120, h=34, colour=GREY)
    drawing.box(585, 122, "number with\nits interval", w=120, h=44, colour=GREY)
    drawing.line([(110, 44), (175, 84)], colour=SOFT, head=True)
    drawing.line([(110, 134), (175, 110)], colour=SOFT, head=True)
    drawing.arrow((300, 97), (375, 97), "verdict", colour=SOFT)
    for y in (31, 85, 144):
        drawing.line([(510, 97), (585, y)], colour=SOFT, head=True)
    drawing.line(
        [(237, 129), (237, 175), (60, 175), (60, 158)], colour=SOFT, dashed=True, head=True
    )
    drawing.text(140, 191, "measure again while inconclusive", size=11.5, colour=SOFT)
    drawing.box(
        300, 212, "mutant: a wrong system,\nwhich the judge must fail", w=180, h=46, colour=ORANGE
    )
    drawing.line([(300, 235), (280, 235), (280, 129)], colour=ORANGE, dashed=True, head=True)
    drawing.text(625, 215, "a number outside its range\nfails the build", size=11.5, colour=ORANGE)
    drawing.line([(645, 202), (645, 166)], colour=ORANGE, dashed=True, head=True)
    return drawing
