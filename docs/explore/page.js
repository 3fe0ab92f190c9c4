// The page "Explore frequencies": a slider of the frequency ratio and a mosaic of frequency channels. All in the browser.
"use strict";

(() => {
  const root = document.getElementById("pb-explore");
  if (!root) return;
  const { DEFINITIONS, ImageChannels, ImageSpectrum, psnr } = passbandFrequency;
  const { IMAGES, SUBSETS } = passbandExamples;
  const SIDE = 256;
  const COMPONENTS = ["Y", "Cb", "Cr"];
  const QUANTITIES = {
    magnitude: "of all amplitudes together",
    energy: "of the contrast energy",
    radius: "of the finest frequency",
    area: "of the number of frequencies",
  };
  const find = (name) => root.querySelector(`[data-pb="${name}"]`);
  const state = { definition: "magnitude", chosen: new Set(SUBSETS["24S"]), spectrum: null, channels: null };

  /** Write an image into a canvas. */
  function draw(canvas, planes, change = (value) => value) {
    const [red, green, blue] = planes;
    const image = new ImageData(canvas.width, canvas.height);
    for (let i = 0; i < red.length; i++) {
      image.data[4 * i] = 255 * change(red[i]);
      image.data[4 * i + 1] = 255 * change(green[i]);
      image.data[4 * i + 2] = 255 * change(blue[i]);
      image.data[4 * i + 3] = 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  /** Return a share in percent as text, without rounding a part to nothing or to the whole. */
  function percent(share) {
    if (share === 0 || share === 1) return `${100 * share} %`;
    if (share < 0.001) return "less than 0.1 %";
    return share > 0.999 ? "more than 99.9 %" : `${(100 * share).toFixed(1)} %`;
  }

  /** Draw the amplitudes with the mean in the middle, bright inside the disc. */
  function drawSpectrum(canvas, spectrum, radius) {
    const { amplitude, distance, height, width } = spectrum;
    const largest = amplitude.reduce((most, value) => Math.max(most, value), 0);
    const shown = new Float64Array(amplitude.length);
    const planes = [shown, new Float64Array(shown.length), new Float64Array(shown.length)];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const i = ((y + height / 2) % height) * width + ((x + width / 2) % width);
        const value = Math.max(0, 1 + Math.log10(Math.max(amplitude[i] / largest, 1e-5)) / 5);
        const isKept = distance[i] <= radius;
        const isEdge = Math.abs(distance[i] - radius) < 0.75;
        const place = y * width + x;
        planes[0][place] = isEdge ? 0.9 : value * (isKept ? 1 : 0.45);
        planes[1][place] = isEdge ? 0.62 : value * (isKept ? 1 : 0.52);
        planes[2][place] = isEdge ? 0 : value * (isKept ? 1 : 0.7);
      }
    }
    draw(canvas, planes);
  }

  /** Show the parts of the image for the ratio of the slider. */
  function showParts() {
    const ratio = find("ratio").valueAsNumber / 100;
    find("ratio-value").textContent = `${Math.round(100 * ratio)} %`;
    for (const definition of DEFINITIONS) {
      const parts = state.spectrum.parts(ratio, definition);
      const button = find(`definition-${definition}`);
      draw(button.querySelector("canvas"), parts.low, (value) => Math.min(1, Math.max(0, value)));
      button.setAttribute("aria-checked", String(definition === state.definition));
      button.tabIndex = definition === state.definition ? 0 : -1;
      if (definition === state.definition) showLarge(parts, ratio);
    }
  }

  /** Show the large images of one definition. */
  function showLarge(parts, ratio) {
    const { planes } = state.spectrum;
    const high = planes.map((plane, number) => plane.map((value, i) => value - parts.low[number][i]));
    const strong = Float64Array.from(high[1], Math.abs).sort()[Math.floor(0.99 * high[1].length)];
    const gain = [16, 8, 4, 2, 1].find((factor) => factor * strong <= 0.25) ?? 1;
    draw(find("low"), parts.low, (value) => Math.min(1, Math.max(0, value)));
    draw(find("high"), high, (value) => Math.min(1, Math.max(0, gain * value + 0.5)));
    drawSpectrum(find("spectrum"), state.spectrum, parts.radius);
    find("high-note").textContent = gain > 1 ? `High part, ${gain} times stronger` : "High part";
    const sentence =
      `By ${state.definition}, ${Math.round(100 * ratio)} % ${QUANTITIES[state.definition]} is a disc with a radius of ` +
      `${Math.round(parts.radius)} of 128 cycles. It holds ${percent(parts.coefficients)} of all frequencies and ` +
      `${percent(parts.energy)} of the contrast energy.`;
    find("parts-text").textContent = sentence;
    find("low").setAttribute("aria-label", `Low part of the image. ${sentence}`);
    find("high").setAttribute("aria-label", "High part of the image around gray: edges, texture and noise");
    find("spectrum").setAttribute("aria-label", `Spectrum with the kept disc. ${sentence}`);
  }

  /** Draw one channel: the lowest as an image, the others as magnitudes. */
  function drawChannel(canvas, values, isLowest) {
    const change = isLowest
      ? (value) => Math.min(1, Math.max(0, (value / 8 + 128) / 255))
      : (value) => Math.min(1, Math.log1p(Math.abs(value)) / Math.log1p(128));
    draw(canvas, [values, values, values], change);
  }

  /** Show which channels are chosen, and what they still show. */
  function showChannels() {
    for (const button of root.querySelectorAll(".pb-channel")) {
      button.setAttribute("aria-pressed", String(state.chosen.has(Number(button.dataset.number))));
    }
    const rebuilt = state.channels.rebuilt(state.chosen);
    draw(find("rebuilt"), rebuilt);
    const fidelity = psnr(rebuilt, state.channels.planes);
    const count = state.chosen.size;
    const quality = fidelity > 100 ? "nothing is lost" : `PSNR ${fidelity.toFixed(1)} dB`;
    const sentence = `${count} of 192 channels, ${percent(count / 192)} of the numbers: ${quality}.`;
    find("channels-text").textContent = sentence;
    find("rebuilt").setAttribute("aria-label", `Image of the chosen channels. ${sentence}`);
    const name = Object.keys(SUBSETS).find(
      (known) => SUBSETS[known].length === count && SUBSETS[known].every((number) => state.chosen.has(number)),
    );
    find("subset").value = name ?? "";
  }

  /** Make the buttons of the channels. Arrow keys move within a mosaic. */
  function makeMosaics() {
    COMPONENTS.forEach((component, place) => {
      const mosaic = find(`mosaic-${component}`);
      for (let index = 0; index < 64; index++) {
        const button = document.createElement("button");
        const [v, u] = [Math.floor(index / 8), index % 8];
        button.type = "button";
        button.className = "pb-channel";
        button.dataset.number = String(64 * place + index);
        button.tabIndex = index ? -1 : 0;
        button.setAttribute("aria-label", `${component}, vertical frequency ${v}, horizontal frequency ${u}`);
        const canvas = document.createElement("canvas");
        canvas.width = canvas.height = SIDE / 8;
        button.append(canvas);
        button.addEventListener("click", () => {
          const number = Number(button.dataset.number);
          if (!state.chosen.delete(number)) state.chosen.add(number);
          showChannels();
        });
        mosaic.append(button);
      }
      mosaic.addEventListener("keydown", (event) => {
        const buttons = [...mosaic.children];
        const index = buttons.indexOf(document.activeElement);
        const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -8, ArrowDown: 8 };
        const next = buttons[index + (steps[event.key] ?? NaN)];
        if (index < 0 || !next) return;
        event.preventDefault();
        buttons[index].tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      });
    });
  }

  /** Show another image. */
  function setImage(source, label) {
    const canvas = find("image");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const [width, height] = [source.naturalWidth ?? source.width, source.naturalHeight ?? source.height];
    const side = Math.min(width, height);
    const [left, top] = [(width - side) / 2, (height - side) / 2];
    context.imageSmoothingQuality = "high";
    context.drawImage(source, left, top, side, side, 0, 0, SIDE, SIDE);
    canvas.setAttribute("aria-label", `Image: ${label}`);
    const { data } = context.getImageData(0, 0, SIDE, SIDE);
    const planes = [0, 1, 2].map((channel) => Float64Array.from({ length: SIDE * SIDE }, (_, i) => data[4 * i + channel] / 255));
    state.spectrum = new ImageSpectrum(planes, SIDE, SIDE);
    state.channels = new ImageChannels(planes, SIDE, SIDE);
    root.querySelectorAll(".pb-channel").forEach((button) => {
      const number = Number(button.dataset.number);
      drawChannel(button.firstChild, state.channels.channels[number], number % 64 === 0);
    });
    showParts();
    showChannels();
    draw(find("whole"), planes);
    root.dataset.ready = label;
  }

  /** Make the buttons of the examples, and read an image of the visitor. It stays in the browser. */
  function makeSources() {
    const examples = find("examples");
    for (const { label, address } of IMAGES) {
      const button = document.createElement("button");
      const image = new Image();
      button.type = "button";
      button.className = "pb-example";
      image.alt = "";
      image.src = address;
      button.append(image, label);
      button.addEventListener("click", async () => {
        await image.decode();
        setImage(image, label);
      });
      examples.append(button);
    }
    find("file").addEventListener("change", async (event) => {
      const [file] = event.target.files;
      if (!file) return;
      try {
        const image = await createImageBitmap(file);
        find("file-text").textContent = "The middle of your photo is shown at 256 x 256 pixels. It stays in this browser.";
        setImage(image, file.name);
      } catch {
        find("file-text").textContent = `${file.name} is not an image that this browser reads. Choose a JPEG or PNG file.`;
      }
    });
    examples.firstChild.click();
  }

  /** Make the four small images, which choose a definition as radio buttons do. */
  function makeDefinitions() {
    const group = find("definitions");
    for (const definition of DEFINITIONS) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "pb-definition";
      button.dataset.pb = `definition-${definition}`;
      button.setAttribute("role", "radio");
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = SIDE;
      const label = document.createElement("span");
      label.innerHTML = `<strong>${definition}</strong> share ${QUANTITIES[definition]}`;
      button.append(canvas, label);
      button.addEventListener("click", () => {
        state.definition = definition;
        showParts();
      });
      group.append(button);
    }
    group.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = (DEFINITIONS.indexOf(state.definition) + step + DEFINITIONS.length) % DEFINITIONS.length;
      group.children[next].click();
      group.children[next].focus();
    });
  }

  for (const name of Object.keys(SUBSETS)) find("subset").add(new Option(`${name} (${SUBSETS[name].length})`, name));
  find("subset").add(new Option("own choice", ""));
  find("subset").addEventListener("change", (event) => {
    if (event.target.value) state.chosen = new Set(SUBSETS[event.target.value]);
    showChannels();
  });
  let isWaiting = false;
  find("ratio").addEventListener("input", () => {
    if (isWaiting) return; // several movements within one frame are drawn once
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      showParts();
    });
  });
  makeDefinitions();
  makeMosaics();
  makeSources();
})();
