// Lets the browser ask before a person leaves or reloads the page in the middle of work, because this ends the work.

function ask(event) {
  if (!document.querySelector("#pb-status progress")) return;
  event.preventDefault();
  event.stopImmediatePropagation(); // Gradio would end its connection, also if the person stays
}

addEventListener("beforeunload", ask, { capture: true });
