// The before/after viewer: <passband-viewer sources='[{"label": "Before", "src": "…"}, …]' left="0" right="1">.
//
// The left part shows one image and the right part another one, at the same place and scale. Dragging the line moves the
// border between them; dragging elsewhere moves both images. The element needs no other script and no network.

const STYLE = `%%STYLE%%`;
const STEP = 1.25; // factor of one zoom step
const LARGEST = 32; // screen pixels per image pixel
const SMALLEST = 240; // side to which a tiny image is enlarged, in screen pixels
const LENS = 110; // radius of the lens in screen pixels
const LARGE = 4e6; // pixels above which an image also has a reduced version
const REDUCED = 0.25; // scale of the reduced version

/** Hand the pixels of an image to a canvas. */
function fill(canvas, bitmap) {
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0); // a "bitmaprenderer" of Chromium ignores the EXIF orientation
  bitmap.close();
}

class PassbandViewer extends HTMLElement {
  static observedAttributes = ["sources"];

  constructor() {
    super();
    this.attachShadow({ mode: "open" });
    this.split = 0.5;
    this.scale = 1;
    this.x = this.y = 0; // place of the image's corner in the stage, in screen pixels
    this.fitted = true;
    this.pointers = new Map();
  }

  connectedCallback() {
    if (!this.shadowRoot.firstChild) this.build();
    this.resizing = new ResizeObserver(() => (this.fitted ? this.fit() : this.draw()));
    this.resizing.observe(this.stage);
    this.load();
  }

  disconnectedCallback() {
    this.resizing.disconnect();
  }

  attributeChangedCallback() {
    if (this.shadowRoot.firstChild && this.isConnected) this.load();
  }

  build() {
    this.shadowRoot.innerHTML = `<style>${STYLE}</style>
      <div class="bar">
        <label class="side">Left <select id="left"></select></label>
        <span class="tools">
          <button id="zoom-out" title="Zoom out (-)" aria-label="Zoom out">−</button>
          <output id="percent" aria-label="Zoom">100 %</output>
          <button id="zoom-in" title="Zoom in (+)" aria-label="Zoom in">+</button>
          <button id="fit-button" title="Fit (0)">Fit</button>
          <button id="full-button" title="One image pixel is one screen pixel (1)">1:1</button>
          <button id="lens-button" title="Lens at 1:1 (L)" aria-pressed="false">Lens</button>
          <button id="screen-button" title="Full screen (F)" aria-pressed="false">Full screen</button>
        </span>
        <label class="side">Right <select id="right"></select></label>
      </div>
      <div class="stage" id="stage" tabindex="0" role="group" aria-describedby="help">
        <div class="pane"><canvas id="right-image" width="0" role="img"></canvas><canvas id="right-small"
          aria-hidden="true"></canvas></div>
        <div class="pane" id="cut"><canvas id="left-image" width="0" role="img"></canvas><canvas id="left-small"
          aria-hidden="true"></canvas></div>
        <span class="tag left" id="left-tag" aria-hidden="true"></span>
        <span class="tag right" id="right-tag" aria-hidden="true"></span>
        <div class="line" id="line" role="slider" tabindex="0" aria-label="Border between left and right"
          aria-orientation="horizontal" aria-valuemin="0" aria-valuemax="100" aria-valuenow="50"><span
          class="grip"></span></div>
        <div class="lens" id="glass" hidden><div id="glass-right"></div><div id="glass-left"></div></div>
        <p class="problem" id="problem" role="alert" hidden></p>
      </div>
      <p class="help" id="help">Drag the line to compare, or the image to move it. The wheel and the keys + and − zoom.
        0 fits the image, 1 shows every pixel, L is a lens, F is full screen, and the arrow keys move the line.</p>`;
    for (const element of this.shadowRoot.querySelectorAll("[id]"))
      this[element.id.replace(/-(.)/g, (_, letter) => letter.toUpperCase())] = element;
    this.zoomIn.onclick = () => this.zoom(STEP);
    this.zoomOut.onclick = () => this.zoom(1 / STEP);
    this.fitButton.onclick = () => this.fit();
    this.fullButton.onclick = () => this.zoomTo(1 / devicePixelRatio);
    this.lensButton.onclick = () => this.toggleLens();
    this.screenButton.onclick = () => this.toggleScreen();
    this.left.onchange = this.right.onchange = () => this.show();
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave"])
      this.stage.addEventListener(kind, (event) => this[kind](event));
    this.stage.addEventListener("dblclick", () => (this.fitted ? this.zoomTo(1 / devicePixelRatio) : this.fit()));
    this.shadowRoot.addEventListener("keydown", (event) => this.key(event));
    this.onfullscreenchange = () => {
      this.screenButton.setAttribute("aria-pressed", String(document.fullscreenElement === this));
      this.fit();
    };
  }

  load() {
    this.sources = JSON.parse(this.getAttribute("sources") || "[]");
    const options = this.sources.map((source, number) => new Option(source.label, String(number)));
    this.left.replaceChildren(...options.map((option) => option.cloneNode(true)));
    this.right.replaceChildren(...options);
    this.left.value = this.getAttribute("left") || "0";
    this.right.value = this.getAttribute("right") || String(this.sources.length - 1);
    this.show();
  }

  show() {
    this.problem.hidden = true;
    for (const side of ["left", "right"]) {
      const source = this.sources[Number(this[side].value)];
      if (!source) continue;
      const image = this[`${side}Image`];
      image.setAttribute("aria-label", source.alt || source.label);
      if (image.dataset.src !== source.src) this.paint(side, source.src);
      this[`${side}Tag`].textContent = source.label;
    }
    const [left, right] = [this.left, this.right].map((select) => select.selectedOptions[0]?.text || "");
    this.stage.setAttribute("aria-label", `Comparison: ${left} on the left, ${right} on the right`);
    this.draw();
  }

  /** Decode an image outside of the main thread, once, and keep its pixels in a canvas, which zooms without a stall. */
  async paint(side, src) {
    const [image, small] = [this[`${side}Image`], this[`${side}Small`]];
    image.dataset.src = src;
    try {
      const answer = await fetch(src);
      if (!answer.ok) throw new Error(answer.statusText);
      const bitmap = await createImageBitmap(await answer.blob());
      const reduced = { resizeWidth: Math.max(1, Math.round(bitmap.width * REDUCED)), resizeQuality: "high" };
      const preview = bitmap.width * bitmap.height > LARGE ? await createImageBitmap(bitmap, reduced) : null;
      if (image.dataset.src !== src) return; // another image was chosen meanwhile
      fill(image, bitmap);
      small.hidden = !preview;
      if (preview) fill(small, preview);
      this.arrive();
    } catch {
      if (image.dataset.src === src) this.fail();
    }
  }

  arrive() {
    if (!this.rightImage.width || !this.leftImage.width) return;
    const photo = `${this.sources[0]?.alt} ${this.width} x ${this.height}`;
    if (this.fitted || photo !== this.photo) this.fit();
    else this.draw(); // another result of the same photo is shown at the same place and scale
    this.photo = photo;
    const isNew = !this.hasAttribute("ready");
    this.toggleAttribute("ready", true);
    if (isNew && matchMedia("(max-width: 760px)").matches) this.scrollIntoView({ block: "start" });
    this.dispatchEvent(new CustomEvent("ready"));
  }

  fail() {
    this.problem.textContent = "The image could not be loaded. Results are removed after an hour, or earlier to make room. Restore it again.";
    this.problem.hidden = false;
  }

  get width() {
    return this.rightImage.width;
  }

  get height() {
    return this.rightImage.height;
  }

  fit() {
    if (!this.width) return;
    const tiny = Math.min(LARGEST, SMALLEST / Math.max(this.width, this.height));
    const largest = Math.max(1, tiny, this.stage.clientWidth / 480); // small images are enlarged, but not without end
    const high = this.height * Math.min(this.stage.clientWidth / this.width, largest);
    this.stage.style.height = document.fullscreenElement === this ? "" : `min(68vh, ${Math.max(220, high)}px)`;
    const { clientWidth, clientHeight } = this.stage;
    this.scale = Math.min(clientWidth / this.width, clientHeight / this.height, largest);
    this.x = (clientWidth - this.width * this.scale) / 2;
    this.y = (clientHeight - this.height * this.scale) / 2;
    this.fitted = true;
    this.draw();
  }

  zoom(factor, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    this.zoomTo(this.scale * factor, x, y);
  }

  zoomTo(scale, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    const least = Math.min(0.05, this.stage.clientWidth / this.width / 2);
    const next = Math.min(LARGEST, Math.max(least, scale));
    this.x = x - ((x - this.x) * next) / this.scale;
    this.y = y - ((y - this.y) * next) / this.scale;
    this.scale = next;
    this.fitted = false;
    this.keepInside();
    this.draw();
  }

  keepInside() {
    const keep = 40;
    this.x = Math.min(this.stage.clientWidth - keep, Math.max(keep - this.width * this.scale, this.x));
    this.y = Math.min(this.stage.clientHeight - keep, Math.max(keep - this.height * this.scale, this.y));
  }

  moveSplit(split) {
    this.split = Math.min(1, Math.max(0, split));
    this.draw();
  }

  draw() {
    if (!this.stage || this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      const border = this.split * this.stage.clientWidth;
      for (const image of [this.leftImage, this.rightImage, this.leftSmall, this.rightSmall]) {
        // images of another size, such as a smaller preview, cover the same place
        const own = image.width ? (this.scale * this.width) / image.width : this.scale;
        image.style.transform = `translate(${this.x}px, ${this.y}px) scale(${own})`;
        image.style.imageRendering = own * devicePixelRatio >= 3 ? "pixelated" : "auto";
      }
      const isReduced = this.scale * devicePixelRatio < 2 * REDUCED; // a reduced image shows fine patterns without moire
      for (const small of [this.leftSmall, this.rightSmall]) small.style.visibility = isReduced ? "" : "hidden";
      this.cut.style.clipPath = `inset(0 ${Math.max(0, this.stage.clientWidth - border)}px 0 0)`;
      this.line.style.left = `${border}px`;
      this.line.setAttribute("aria-valuenow", String(Math.round(100 * this.split)));
      this.line.setAttribute("aria-valuetext", `${Math.round(100 * this.split)} % from the left`);
      this.percent.textContent = `${Math.round(100 * this.scale * devicePixelRatio)} %`;
      this.drawLens();
    });
  }

  toggleLens() {
    this.withLens = !this.withLens;
    this.lensButton.setAttribute("aria-pressed", String(this.withLens));
    this.at ??= { x: this.stage.clientWidth / 2, y: this.stage.clientHeight / 2 };
    this.draw();
  }

  drawLens() {
    this.glass.hidden = !this.withLens || !this.width;
    if (this.glass.hidden) return;
    const scale = 1 / devicePixelRatio;
    const { x, y } = this.at;
    this.glass.style.transform = `translate(${x - LENS}px, ${y - LENS}px)`;
    for (const side of ["Left", "Right"]) {
      const image = this[`${side.toLowerCase()}Image`];
      const part = this[`glass${side}`].style;
      part.backgroundImage = `url("${image.dataset.src}")`;
      part.backgroundSize = `${this.width * scale}px ${this.height * scale}px`;
      const [left, top] = [(x - this.x) / this.scale, (y - this.y) / this.scale];
      part.backgroundPosition = `${LENS - left * scale}px ${LENS - top * scale}px`;
    }
    const border = Math.min(2 * LENS, Math.max(0, this.split * this.stage.clientWidth - (x - LENS)));
    this.glassLeft.style.clipPath = `inset(0 ${2 * LENS - border}px 0 0)`;
  }

  toggleScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.requestFullscreen?.();
  }

  wheel(event) {
    event.preventDefault();
    const box = this.stage.getBoundingClientRect();
    const amount = event.deltaMode ? event.deltaY * 30 : event.deltaY;
    this.zoom(Math.exp(-Math.max(-200, Math.min(200, amount)) / 400), event.clientX - box.left, event.clientY - box.top);
  }

  pointerdown(event) {
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.drags = event.composedPath().includes(this.line) ? "line" : "image";
    this.stage.setPointerCapture(event.pointerId);
    if (this.drags === "line") this.line.focus();
  }

  pointermove(event) {
    const box = this.stage.getBoundingClientRect();
    this.at = { x: event.clientX - box.left, y: event.clientY - box.top };
    const last = this.pointers.get(event.pointerId);
    if (last) {
      const [dx, dy] = [event.clientX - last.x, event.clientY - last.y];
      if (this.pointers.size === 2) this.pinch(event, box);
      else if (this.drags === "line") this.split = Math.min(1, Math.max(0, this.at.x / box.width));
      else {
        this.x += dx;
        this.y += dy;
        this.fitted = false;
        this.keepInside();
      }
      this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    }
    if (last || this.withLens) this.draw();
  }

  pinch(event, box) {
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
    const before = this.pointers.get(event.pointerId);
    const distance = (point) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
    const now = { x: event.clientX, y: event.clientY };
    this.zoom(distance(now) / distance(before), (now.x + other.x) / 2 - box.left, (now.y + other.y) / 2 - box.top);
  }

  pointerup(event) {
    this.pointers.delete(event.pointerId);
  }

  pointercancel(event) {
    this.pointers.delete(event.pointerId);
  }

  pointerleave(event) {
    this.pointers.delete(event.pointerId);
  }

  key(event) {
    if (event.target instanceof HTMLSelectElement || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 0.1 : 0.02;
    const actions = {
      ArrowLeft: () => this.moveSplit(this.split - step),
      ArrowRight: () => this.moveSplit(this.split + step),
      Home: () => this.moveSplit(0),
      End: () => this.moveSplit(1),
      "+": () => this.zoom(STEP),
      "=": () => this.zoom(STEP),
      "-": () => this.zoom(1 / STEP),
      0: () => this.fit(),
      1: () => this.zoomTo(1 / devicePixelRatio),
      l: () => this.toggleLens(),
      f: () => this.toggleScreen(),
    };
    const action = actions[event.key] || actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  }
}

if (!customElements.get("passband-viewer")) customElements.define("passband-viewer", PassbandViewer);
