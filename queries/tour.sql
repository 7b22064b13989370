-- The questions of `atlasdb demo`, asked of the built-in phantom.

-- name: leaves
SELECT acronym, name, volume_mm3, path_text
FROM phantom_mouse_100um.leaf
ORDER BY volume_mm3 DESC
LIMIT 3;

-- name: point
SELECT
    acronym_at('phantom_mouse_100um', 5400, 4000, 3400) AS acronym,
    hemisphere_at('phantom_mouse_100um', 5400, 4000, 3400) AS hemisphere;

-- name: sides
SELECT acronym, volume_left_mm3, volume_right_mm3
FROM phantom_mouse_100um.region
WHERE depth = 2
ORDER BY rank;
