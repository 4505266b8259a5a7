// Opens what a link leads to, and sorts a table by the column that is clicked.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}
addEventListener("hashchange", reveal);
reveal();

for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const column = [...head.parentNode.children].indexOf(head);
    const upwards = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", upwards ? "ascending" : "descending");
    const body = head.closest("table").tBodies[0];
    const rank = (row) => row.children[column].dataset.rank;
    const order = (a, b) =>
      column ? rank(a) - rank(b) : rank(a).localeCompare(rank(b));
    const rows = [...body.rows].sort(order);
    body.append(...(upwards ? rows : rows.reverse()));
  });
}
