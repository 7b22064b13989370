-- The questions of `atlasdb demo`, asked of the built-in phantom.

-- name: largest_leaves
SELECT acronym, name, round(volume_mm3, 2) AS volume_mm3, path_text
FROM phantom_mouse_100um.region
WHERE is_leaf
ORDER BY region.volume_mm3 DESC
LIMIT 5;

-- name: descendants
SELECT d.acronym, d.name, c.distance
FROM phantom_mouse_100um.structure AS a
JOIN phantom_mouse_100um.closure AS c ON c.ancestor_id = a.structure_id
JOIN phantom_mouse_100um.structure AS d ON d.structure_id = c.descendant_id
WHERE a.acronym = 'VIS' AND c.distance > 0
ORDER BY d.rank;

-- name: place
SELECT path_text, centroid_ap_um, centroid_si_um, centroid_rl_um, voxels
FROM phantom_mouse_100um.region
WHERE acronym = 'VISp5';

-- name: sides
SELECT acronym, volume_left_mm3, volume_right_mm3
FROM phantom_mouse_100um.region
WHERE depth = 2
ORDER BY rank;
