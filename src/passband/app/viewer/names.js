// Gives names to what Gradio leaves without one, and hides its icons from screen readers.

const text = (element) => element?.textContent.trim() || "";

function complete() {
  for (const icon of document.querySelectorAll("svg:not([aria-hidden], [aria-label], [role])"))
    icon.setAttribute("aria-hidden", "true");
  for (const box of document.querySelectorAll("textarea:not([aria-label])"))
    box.setAttribute("aria-label", text(box.closest(".block")?.querySelector("[data-testid=block-info]")));
  for (const list of document.querySelectorAll("[role=listbox]:not([aria-label])")) {
    const input = document.querySelector(`[aria-controls="${list.id}"]`);
    list.setAttribute("aria-label", input?.getAttribute("aria-label") || "Choices");
  }
  for (const button of document.querySelectorAll("[aria-label='common.upload']")) {
    button.setAttribute("aria-label", "Upload other files"); // Gradio shows the key of a translation
    button.title = "Upload other files";
  }
}

let waits = false;
new MutationObserver(() => {
  if (waits) return;
  waits = true;
  requestAnimationFrame(() => {
    waits = false;
    complete();
  });
}).observe(document, { childList: true, subtree: true });
