"""What a row found out, in the form that tables, charts and JSON are made from."""


class Result:
    """A table: columns, and one line of cells for each competitor."""

    def __init__(self, row, title, columns):
        self.row = row
        self.title = title
        self.columns = columns  # names
        self.lines = []  # lists of text, as long as columns
        self.notes = []  # sentences
        self.data = {}  # by competitor: what goes into the JSON
        self.charts = None  # lines to draw: points by name
        self.left_out = False  # this machine doesn't allow it, and the table says so

    def add(self, name, cells, data):
        self.lines.append([name] + cells)
        self.data[name] = data

    def missing(self, name, reason):
        """A competitor that couldn't be measured stays in the table, with the reason."""
        self.lines.append([name, reason] + [""] * (len(self.columns) - 2))
        self.data[name] = {"missing": reason}
