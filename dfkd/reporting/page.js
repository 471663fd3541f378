// Tables are sorted by a click on a column's head: numbers by value, what is empty last.
const valueOf = (row, column) => {
  const text = row.cells[column].textContent.trim();
  const number = parseFloat(text.replace(/,/g, "").replace(/^< */, ""));
  return { text, number, empty: text === "" };
};
const compare = (a, b) =>
  Number.isNaN(a.number) || Number.isNaN(b.number)
    ? Number.isNaN(a.number) - Number.isNaN(b.number) || a.text.localeCompare(b.text)
    : a.number - b.number;
const sort = (head) => {
  const rises = head.ariaSort !== "ascending", column = head.cellIndex;
  for (const other of head.parentNode.cells) other.ariaSort = null;
  head.ariaSort = rises ? "ascending" : "descending";
  const body = head.closest("table").tBodies[0];
  const rows = [...body.rows].map((row) => [row, valueOf(row, column)]);
  rows.sort(([, a], [, b]) => a.empty - b.empty || (rises ? compare(a, b) : compare(b, a)));
  body.append(...rows.map(([row]) => row));
};
for (const head of document.querySelectorAll("thead th")) {
  head.tabIndex = 0;
  head.title = "sort by this column";
  head.onclick = () => sort(head);
  head.onkeydown = (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      sort(head);
    }
  };
}
