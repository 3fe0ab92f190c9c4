// The mosaics of frequency channels: <passband-mosaic> holds a button for each channel, which a click, the space bar or
// Enter turns on or off. Arrow keys move within a mosaic. <passband-chosen channels="0,1"> says which ones are chosen.

const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -8, ArrowDown: 8 };
const SIDE = 8; // channels in a row

class PassbandMosaic extends HTMLElement {
  static observedAttributes = ["view"]; // Gradio changes elements in place, so another image is another attribute

  connectedCallback() {
    this.prepare();
    this.onclick = (event) => this.toggle(event.target.closest("button[data-channel]"));
    this.onkeydown = (event) => this.move(event);
  }

  attributeChangedCallback() {
    queueMicrotask(() => this.prepare()); // when Gradio has changed the buttons also
  }

  prepare() {
    for (const group of this.groups()) group.forEach((button, place) => (button.tabIndex = place ? -1 : 0));
    document.querySelector("passband-chosen")?.mark();
  }

  groups() {
    return [...this.querySelectorAll("[role=group]")].map((group) => [...group.querySelectorAll("button")]);
  }

  /** Mark the channels with these numbers as chosen, and no others. */
  show(numbers) {
    for (const button of this.groups().flat())
      button.setAttribute("aria-pressed", String(numbers.includes(Number(button.dataset.channel))));
  }

  toggle(button) {
    if (!button) return;
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    this.focusOn(button);
    const pressed = this.querySelectorAll("button[aria-pressed=true]");
    const numbers = [...pressed].map((one) => one.dataset.channel).join(", ");
    this.dispatchEvent(new CustomEvent("passband-choose", { bubbles: true, detail: numbers }));
  }

  move(event) {
    const group = this.groups().find((buttons) => buttons.includes(event.target));
    if (!group || event.ctrlKey || event.metaKey || event.altKey) return;
    const place = group.indexOf(event.target);
    const row = place - (place % SIDE);
    const next = { Home: row, End: row + SIDE - 1 }[event.key] ?? place + STEPS[event.key];
    const leaves = event.key.match(/Left|Right/) && next - (((next % SIDE) + SIDE) % SIDE) !== row;
    if (!group[next] || leaves) return;
    event.preventDefault();
    this.focusOn(group[next]);
  }

  focusOn(button) {
    const group = this.groups().find((buttons) => buttons.includes(button));
    for (const other of group) other.tabIndex = other === button ? 0 : -1;
    button.focus();
  }
}

class PassbandChosen extends HTMLElement {
  static observedAttributes = ["channels"];

  connectedCallback() {
    this.mark();
  }

  attributeChangedCallback() {
    this.mark();
  }

  /** Mark the channels in the mosaic, which may come to the page before or after this element. */
  mark() {
    const numbers = (this.getAttribute("channels") || "").split(",").filter(Boolean).map(Number);
    document.querySelector("passband-mosaic")?.show(numbers);
  }
}

if (!customElements.get("passband-mosaic")) {
  customElements.define("passband-mosaic", PassbandMosaic);
  customElements.define("passband-chosen", PassbandChosen);
}
