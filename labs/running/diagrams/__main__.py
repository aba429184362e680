"""Write the diagrams into the handbook."""

from labs.running.diagrams import FIGURES, diagrams

for name, draw in diagrams().items():
    (FIGURES / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")
    print(f"handbook/figures/{name}.svg")
