// What the page knows while it is open.

export const state = {
  about: null, // GET /v1/gallery
  pictures: [], // [{file, url}] chosen for the next question
  calibration: null, // GET /v1/calibration of the kind of search that the shown answer is of
  asked: null, // {answer, files, urls, camera, time, chosen, decided}: what the shown answer is about
  people: { offset: 0, total: 0 },
  person: null, // name of the person shown
  review: null, // {items, at}: what is left to review
};

export const may = (role) => state.about && ["read", "write", "admin"].indexOf(state.about.role) >= ["read", "write", "admin"].indexOf(role);
export const mayChange = (role = "write") => may(role) && !state.about.read_only;
