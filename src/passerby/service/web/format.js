// Numbers, moments and places in words.

// Seconds as a local date where they look like seconds since 1970 (after 1990), else as a number.
export function when(seconds) {
  if (seconds == null) return "time not known";
  if (seconds < 631152000 || seconds > 253402300800) return `${seconds} s`;
  return new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

export const places = (camera) => (camera == null ? "camera not known" : `camera ${camera}`);
export const count = (n, one, many) => `${n.toLocaleString()} ${n === 1 ? one : many}`;
export const percent = (share) => `${(share * 100).toPrecision(2).replace(/\.0+$/, "")} %`;
export const isoTime = (local) => (local ? new Date(local).toISOString() : "");
