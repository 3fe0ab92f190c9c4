// Frequencies of images in plain JavaScript: the same numbers as passband.curriculum.ratio, passband.ops.fourier and
// passband.ops.dct. Images are arrays of planes (Float64Array, row by row). Sides are powers of two for the spectrum and
// multiples of 8 for the channels.
"use strict";

const passbandFrequency = (() => {
  const DEFINITIONS = ["magnitude", "energy", "radius", "area"];
  const BLOCK = 8;

  const turns = new Map();

  /** Return the cosines and sines of all parts of a turn, which are made once for each length. */
  function partsOfTurn(length) {
    if (!turns.has(length)) {
      const angles = Float64Array.from({ length: length / 2 }, (_, k) => (-2 * Math.PI * k) / length);
      turns.set(length, [angles.map(Math.cos), angles.map(Math.sin)]);
    }
    return turns.get(length);
  }

  /** Transform one line of complex values in place; the length is a power of two. */
  function transformLine(re, im, start, step, length, isInverse) {
    for (let i = 1, j = 0; i < length; i++) {
      let bit = length >> 1;
      for (; j & bit; bit >>= 1) j ^= bit;
      j ^= bit;
      if (i < j) {
        const a = start + i * step;
        const b = start + j * step;
        [re[a], re[b]] = [re[b], re[a]];
        [im[a], im[b]] = [im[b], im[a]];
      }
    }
    const [cosines, sines] = partsOfTurn(length);
    for (let half = 1; half < length; half <<= 1) {
      for (let k = 0; k < half; k++) {
        const c = cosines[(k * length) / (2 * half)];
        const s = isInverse ? -sines[(k * length) / (2 * half)] : sines[(k * length) / (2 * half)];
        for (let i = k; i < length; i += 2 * half) {
          const a = start + i * step;
          const b = a + half * step;
          const x = re[b] * c - im[b] * s;
          const y = re[b] * s + im[b] * c;
          re[b] = re[a] - x;
          im[b] = im[a] - y;
          re[a] += x;
          im[a] += y;
        }
      }
    }
  }

  /** Transform an image of complex values in place. The inverse divides by the number of pixels, as torch does. */
  function transform(re, im, height, width, isInverse) {
    for (let y = 0; y < height; y++) transformLine(re, im, y * width, 1, width, isInverse);
    for (let x = 0; x < width; x++) transformLine(re, im, x, width, height, isInverse);
    if (isInverse) {
      for (let i = 0; i < re.length; i++) {
        re[i] /= re.length;
        im[i] /= re.length;
      }
    }
  }

  /** Return the distance of each frequency from 0 in cycles per shorter side. */
  function distances(height, width) {
    const shorter = Math.min(height, width);
    const result = new Float64Array(height * width);
    for (let y = 0; y < height; y++) {
      const v = ((y < height / 2 ? y : y - height) * shorter) / height;
      for (let x = 0; x < width; x++) {
        const u = ((x < width / 2 ? x : x - width) * shorter) / width;
        result[y * width + x] = Math.sqrt(v * v + u * u);
      }
    }
    return result;
  }

  /** The spectrum of one image, which gives its parts for any frequency ratio at once. */
  class ImageSpectrum {
    constructor(planes, height, width) {
      Object.assign(this, { planes, height, width, distance: distances(height, width) });
      // two real planes are one complex image, whose transform holds both
      this.pairs = [];
      for (let i = 0; i < planes.length; i += 2) {
        const re = Float64Array.from(planes[i]);
        const im = i + 1 < planes.length ? Float64Array.from(planes[i + 1]) : new Float64Array(re.length);
        transform(re, im, height, width, false);
        this.pairs.push([re, im]);
      }
      const rings = 1 + this.distance.reduce((most, value) => Math.max(most, Math.ceil(value)), 0);
      this.shares = {};
      const sums = { magnitude: new Float64Array(rings), energy: new Float64Array(rings), area: new Float64Array(rings) };
      this.amplitude = new Float64Array(height * width);
      this.power = new Float64Array(height * width);
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const i = y * width + x;
          const j = ((height - y) % height) * width + ((width - x) % width);
          let magnitude = 0;
          let energy = 0;
          for (const [re, im] of this.pairs) {
            // the even part belongs to the first plane, and the odd part to the second
            const first = Math.sqrt((re[i] + re[j]) ** 2 + (im[i] - im[j]) ** 2) / 2;
            const second = Math.sqrt((im[i] + im[j]) ** 2 + (re[j] - re[i]) ** 2) / 2;
            magnitude += first + second;
            energy += first * first + second * second;
          }
          const ring = Math.ceil(this.distance[i]);
          this.amplitude[i] = magnitude;
          this.power[i] = i ? energy : 0;
          sums.magnitude[ring] += magnitude;
          sums.energy[ring] += this.power[i];
          sums.area[ring] += 1;
        }
      }
      for (const [name, values] of Object.entries(sums)) {
        let total = 0;
        const inside = values.map((value) => (total += value));
        this.shares[name] = inside.map((value) => (total > 0 ? value / total : 1));
      }
    }

    /** Return the radius of the disc that keeps a ratio by a definition, in cycles per shorter side. */
    radius(ratio, definition) {
      const shorter = Math.min(this.height, this.width);
      if (definition === "radius") return ratio === 1 ? shorter : (ratio * shorter) / 2;
      const shares = this.shares[definition];
      let radius = 0;
      while (radius < shares.length - 1 && shares[radius] < ratio) radius++;
      return radius;
    }

    /** Return the low part and the kept shares; the high part is the image minus the low part. */
    parts(ratio, definition) {
      const radius = this.radius(ratio, definition);
      let count = 0;
      let energy = 0;
      let whole = 0;
      for (let i = 0; i < this.distance.length; i++) {
        whole += this.power[i];
        if (this.distance[i] <= radius || ratio === 1) {
          count++;
          energy += this.power[i];
        }
      }
      const figures = { radius, coefficients: count / this.distance.length, energy: whole > 0 ? energy / whole : 1 };
      if (ratio === 1) return { ...figures, low: this.planes };
      const low = [];
      for (const [re, im] of this.pairs) {
        const keptRe = new Float64Array(re.length);
        const keptIm = new Float64Array(re.length);
        for (let i = 0; i < re.length; i++) {
          if (this.distance[i] <= radius) {
            keptRe[i] = re[i];
            keptIm[i] = im[i];
          }
        }
        transform(keptRe, keptIm, this.height, this.width, true);
        low.push(keptRe, keptIm);
      }
      return { ...figures, low: low.slice(0, this.planes.length) };
    }
  }

  const COSINES = Array.from({ length: BLOCK }, (_, u) =>
    Array.from({ length: BLOCK }, (_, x) =>
      u ? Math.cos((Math.PI * (2 * x + 1) * u) / (2 * BLOCK)) / 2 : Math.sqrt(1 / BLOCK),
    ),
  );

  /** Return the DCT of all blocks of one component: 64 channels of h w values each, channel 8 v + u. */
  function blockDct(samples, height, width) {
    const rows = height / BLOCK;
    const columns = width / BLOCK;
    const channels = Array.from({ length: BLOCK * BLOCK }, () => new Float64Array(rows * columns));
    const across = new Float64Array(BLOCK * BLOCK);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        for (let y = 0; y < BLOCK; y++) {
          for (let u = 0; u < BLOCK; u++) {
            let sum = 0;
            for (let x = 0; x < BLOCK; x++) {
              sum += COSINES[u][x] * samples[(row * BLOCK + y) * width + column * BLOCK + x];
            }
            across[y * BLOCK + u] = sum;
          }
        }
        for (let v = 0; v < BLOCK; v++) {
          for (let u = 0; u < BLOCK; u++) {
            let sum = 0;
            for (let y = 0; y < BLOCK; y++) sum += COSINES[v][y] * across[y * BLOCK + u];
            channels[v * BLOCK + u][row * columns + column] = sum;
          }
        }
      }
    }
    return channels;
  }

  /** Return the samples of 64 channels, of which only those in a set are used. */
  function inverseBlockDct(channels, height, width, first, chosen) {
    const columns = width / BLOCK;
    const samples = new Float64Array(height * width);
    const down = new Float64Array(BLOCK * BLOCK);
    for (let place = 0; place < channels[0].length; place++) {
      const top = Math.floor(place / columns) * BLOCK;
      const left = (place % columns) * BLOCK;
      for (let u = 0; u < BLOCK; u++) {
        for (let y = 0; y < BLOCK; y++) {
          let sum = 0;
          for (let v = 0; v < BLOCK; v++) {
            const index = v * BLOCK + u;
            if (chosen.has(first + index)) sum += COSINES[v][y] * channels[index][place];
          }
          down[y * BLOCK + u] = sum;
        }
      }
      for (let y = 0; y < BLOCK; y++) {
        for (let x = 0; x < BLOCK; x++) {
          let sum = 0;
          for (let u = 0; u < BLOCK; u++) sum += COSINES[u][x] * down[y * BLOCK + u];
          samples[(top + y) * width + left + x] = sum;
        }
      }
    }
    return samples;
  }

  /** The 192 frequency channels of an image, which give the image that any of them still show. */
  class ImageChannels {
    constructor([red, green, blue], height, width) {
      Object.assign(this, { planes: [red, green, blue], height, width });
      const luma = red.map((value, i) => 0.299 * value + 0.587 * green[i] + 0.114 * blue[i]);
      const blueness = luma.map((value, i) => (blue[i] - value) / 1.772 + 128 / 255);
      const redness = luma.map((value, i) => (red[i] - value) / 1.402 + 128 / 255);
      this.channels = [luma, blueness, redness].flatMap((component) =>
        blockDct(component.map((value) => 255 * value - 128), height, width),
      );
    }

    /** Return the planes of the image of a set of channels, 64 component + 8 v + u, clamped to [0, 1]. */
    rebuilt(chosen) {
      const size = BLOCK * BLOCK;
      const [luma, blueness, redness] = [0, 1, 2].map((component) => {
        const own = this.channels.slice(component * size, (component + 1) * size);
        const samples = inverseBlockDct(own, this.height, this.width, component * size, chosen);
        return samples.map((value) => (value + 128) / 255);
      });
      const blue = luma.map((value, i) => value + 1.772 * (blueness[i] - 128 / 255));
      const red = luma.map((value, i) => value + 1.402 * (redness[i] - 128 / 255));
      const green = luma.map((value, i) => (value - 0.299 * red[i] - 0.114 * blue[i]) / 0.587);
      return [red, green, blue].map((plane) => plane.map((value) => Math.min(1, Math.max(0, value))));
    }
  }

  /** Return the PSNR of one image against another in dB. */
  function psnr(planes, reference) {
    let sum = 0;
    let count = 0;
    planes.forEach((plane, number) => {
      plane.forEach((value, i) => (sum += (value - reference[number][i]) ** 2));
      count += plane.length;
    });
    return -10 * Math.log10(sum / count);
  }

  return { DEFINITIONS, ImageChannels, ImageSpectrum, psnr };
})();
