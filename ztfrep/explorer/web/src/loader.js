// Data scripts. fetch() does not read files of a folder, script elements do: each calls ztfrepData.

/** @type {Map<string, (value: any) => void>} */
const waiting = new Map();
/** @type {Map<string, Promise<any>>} */
const loading = new Map();

window.ztfrepData = (key, value) => waiting.get(key)?.(value);

/**
 * The value of the data script with a key. Calls at the same time share one request; the promise is
 * rejected where the file is missing or is not a data script.
 * @param {string} key such as "column-class"
 * @returns {Promise<any>}
 */
export function load(key) {
  let promise = loading.get(key);
  if (!promise) {
    promise = request(key).finally(() => {
      waiting.delete(key);
      loading.delete(key);
    });
    loading.set(key, promise);
  }
  return promise;
}

function request(key) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    waiting.set(key, resolve);
    // After a script that called ztfrepData the promise is resolved and this does nothing.
    script.onload = script.onerror = () => {
      script.remove();
      reject(new Error(`data/${key}.js could not be read`));
    };
    script.src = `data/${encodeURIComponent(key)}.js`;
    document.head.append(script);
  });
}
